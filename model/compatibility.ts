import { TabletkeeperError } from './errors.ts'

type Release = readonly [major: number, minor: number, patch: number]

/** From 8.0.35 on, patch releases of one series read each other's files in both directions. */
const PATCHES_COMPATIBLE: Release = [8, 0, 35]
/** The only steps between series that Vitess allows for files, and only for those of a slow shutdown. */
const NEXT_SERIES: ReadonlyMap<string, string> = new Map([
  ['5.7', '8.0'],
  ['8.0', '8.4'],
])

/**
 * Refuses data that `serverVersion` cannot start on, by the rule of Vitess 24 (go/vt/mysqlctl/backupengine.go).
 * Versions are as in a MANIFEST, `Ver 9.7.4 MySQL Community Server`: their comment tells Percona and MariaDB from MySQL.
 * @param upgradeSafe whether the data were written by a shutdown with `innodb_fast_shutdown=0`
 * @throws IncompatibleVersion
 */
export function assertCompatible(backupVersion: string, upgradeSafe: boolean, serverVersion: string): void {
  if (backupVersion === serverVersion && backupVersion !== '') return
  const reason = incompatibility(backupVersion, upgradeSafe, serverVersion)
  if (reason === undefined) return
  throw new TabletkeeperError(
    'IncompatibleVersion',
    `data of ${JSON.stringify(backupVersion)} cannot be restored to ${JSON.stringify(serverVersion)}: ${reason}`,
    { hint: 'Restore to a server of the release that made the backup, or choose another backup.' },
  )
}

function incompatibility(backupVersion: string, upgradeSafe: boolean, serverVersion: string): string | undefined {
  const from = releaseOf(backupVersion)
  const to = releaseOf(serverVersion)
  if (from === undefined) return 'the backup does not say which release made it'
  if (to === undefined) return 'the release of the server is not known'
  if (flavorOf(backupVersion) !== flavorOf(serverVersion))
    return `${flavorOf(backupVersion)} and ${flavorOf(serverVersion)} differ`
  if (seriesOf(from) !== seriesOf(to)) {
    if (NEXT_SERIES.get(seriesOf(from)) !== seriesOf(to))
      return `there is no step from ${seriesOf(from)} to ${seriesOf(to)}`
    return upgradeSafe ? undefined : 'an upgrade needs a backup taken with innodb_fast_shutdown=0'
  }
  if (compare(from, to) === 0) return undefined
  if (compare(from, PATCHES_COMPATIBLE) >= 0 && compare(to, PATCHES_COMPATIBLE) >= 0) return undefined
  if (compare(from, to) > 0) return 'the server is older than the data'
  return upgradeSafe ? undefined : 'an upgrade needs a backup taken with innodb_fast_shutdown=0'
}

function releaseOf(version: string): Release | undefined {
  const [, major, minor, patch] = /^(?:.*Ver )?(\d+)\.(\d+)\.(\d+)/.exec(version) ?? []
  return major === undefined ? undefined : [Number(major), Number(minor), Number(patch)]
}

function flavorOf(version: string): string {
  return ['Percona', 'MariaDB'].find((flavor) => version.includes(flavor)) ?? 'MySQL'
}

function seriesOf([major, minor]: Release): string {
  return `${major}.${minor}`
}

function compare(a: Release, b: Release): number {
  return a[0] - b[0] || a[1] - b[1] || a[2] - b[2]
}
