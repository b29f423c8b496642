import type { BackupName } from './backup-name.ts'
import { TabletkeeperError } from './errors.ts'
import type { BadPage, Warning } from './runs.ts'
import type { ShardName } from './shard-name.ts'

/** Input of the workflow `verifyBackup`. */
export interface VerifyInput {
  readonly shard: ShardName
  /** The name of the backup; default: the latest that was published. */
  readonly backup?: BackupName
  /** Threads that decompress and check; default: `restore.concurrency` of control's configuration. */
  readonly concurrency?: number
}

/** An object that is not what the MANIFEST says. */
export interface DamagedObject {
  readonly object: string
  /** The file that it holds: its path below its directory. */
  readonly file: string
  readonly reason: string
}

/** A page of InnoDB with a wrong checksum, and where that came from. */
export interface DamagedPage extends BadPage {
  /**
   * `tablet`: its object is as it was stored, and the page was stored as it was read. `storage`: its object is damaged. `unknown`: its
   * object is as it was stored, and yet the copy has seen no damage.
   */
  readonly origin: 'tablet' | 'storage' | 'unknown'
}

/** What was found in a backup by reading all of it. */
export interface Verification {
  readonly files: number
  /** Plain bytes: as the MANIFEST has them, else as they were read. */
  readonly dataBytes: number
  /** Bytes in storage. */
  readonly storedBytes: number
  /** How many objects are damaged, and the first of them. */
  readonly damagedObjects: number
  readonly firstDamagedObjects: readonly DamagedObject[]
  /** How many pages are damaged, and the first of them. */
  readonly damagedPages: number
  readonly firstDamagedPages: readonly DamagedPage[]
  readonly warnings: readonly Warning[]
}

/** Result of the workflow `verifyBackup`. */
export interface VerifyResult extends Verification {
  readonly shard: ShardName
  readonly backup: BackupName
  readonly seconds: number
}

/** How many damaged objects and pages a verification names; more are only counted. */
export const FINDINGS_KEPT = 50
/** How many of them fit into a message. */
const FINDINGS_TOLD = 10

/** A backup that was read to its end and is not sound. */
export class DamagedBackup extends TabletkeeperError {
  readonly verification: VerifyResult

  constructor(verification: VerifyResult) {
    super('CorruptBackup', describeDamage(verification), { hint: hintOf(verification) })
    this.verification = verification
  }
}

/** Whether a value that came from elsewhere, such as the details of a failure, is the result of a verification. */
export function isVerifyResult(value: unknown): value is VerifyResult {
  if (typeof value !== 'object' || value === null) return false
  const found: ReadonlyMap<string, unknown> = new Map(Object.entries(value))
  const counts = ['files', 'dataBytes', 'storedBytes', 'damagedObjects', 'damagedPages', 'seconds']
  const lists = ['firstDamagedObjects', 'firstDamagedPages', 'warnings']
  return (
    counts.every((key) => typeof found.get(key) === 'number') && lists.every((key) => Array.isArray(found.get(key)))
  )
}

/** Whether everything is as it was stored, and no page is damaged. */
export function isSound({ damagedObjects, damagedPages }: Verification): boolean {
  return damagedObjects === 0 && damagedPages === 0
}

function describeDamage(result: VerifyResult): string {
  const { backup, files, damagedObjects, firstDamagedObjects, damagedPages, firstDamagedPages } = result
  const parts = [
    ...(damagedObjects > 0
      ? [`${damagedObjects} of its ${files} objects ${damagedObjects === 1 ? 'is' : 'are'} damaged`]
      : []),
    ...(damagedPages > 0
      ? [
          `${damagedPages} ${damagedPages === 1 ? 'page' : 'pages'} of InnoDB ${damagedPages === 1 ? 'is' : 'are'} damaged`,
        ]
      : []),
  ]
  const lines = [
    ...listed(firstDamagedObjects.map(describeObject), damagedObjects),
    ...listed(firstDamagedPages.map(describePage), damagedPages),
  ]
  return [`the backup ${backup} is not sound: ${parts.join(', ')}`, ...lines].join('\n')
}

function describeObject({ file, reason }: DamagedObject): string {
  return `${reason} (${file})`
}

function describePage({ file, page, origin }: DamagedPage): string {
  return `${file} page ${page}: ${ORIGINS[origin]}`
}

const ORIGINS: Readonly<Record<DamagedPage['origin'], string>> = {
  tablet: "stored as it was read: the tablet's own page was damaged",
  storage: 'damaged in storage, as its object is',
  unknown: 'its object is as it was stored, but the copy saw no damage: suspect the memory of a host',
}

function listed(lines: readonly string[], count: number): string[] {
  const told = lines.slice(0, FINDINGS_TOLD)
  return count > told.length && told.length > 0 ? [...told, `… and ${count - told.length} more`] : told
}

function hintOf({ shard, damagedObjects }: VerifyResult): string {
  return damagedObjects > 0
    ? `A restore from it would stop before anything is replaced. Take a new backup (tabletkeeper backup ${shard}), and look at the storage.`
    : `Everything is as it was stored. Find a sound tablet (CHECK TABLE), restore the damaged one from it, and back it up: tabletkeeper backup ${shard}`
}
