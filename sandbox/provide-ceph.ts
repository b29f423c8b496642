import { dirname, join } from 'node:path'
import { isError, messageOf, TabletkeeperError } from '../model/errors.ts'
import { cached } from './cache.ts'
import { findProgram, runCommand } from './command.ts'
import { CEPH_PROGRAMS, installCeph } from './install-ceph.ts'

const ON_PATH = 'Install ceph-mon, ceph-osd, radosgw and ceph-common (apt-get) so that they are on PATH'

/**
 * The directory of Ceph's programs: `$CEPH_BIN`, PATH, the cache, else installed into the cache from Debian sid, without touching the
 * system.
 * @throws InvalidConfig when `$CEPH_BIN` lacks one; NotFound when they are not there and cannot be installed
 */
export async function provideCeph(): Promise<string> {
  const named = process.env['CEPH_BIN']
  if (named) {
    try {
      for (const program of CEPH_PROGRAMS) await runCommand(join(named, program), ['--version'])
    } catch (error) {
      throw new TabletkeeperError('InvalidConfig', `CEPH_BIN=${named} cannot be used: ${messageOf(error)}`, {
        hint: `Set CEPH_BIN to a directory that holds ${CEPH_PROGRAMS.join(', ')}, or unset it.`,
        cause: error,
      })
    }
    return named
  }
  const found = await Promise.all(CEPH_PROGRAMS.map((program) => findProgram(program)))
  const [first] = found
  if (first !== undefined && found.every((program) => program !== undefined && dirname(program) === dirname(first))) {
    return dirname(first)
  }
  return join(await cached('ceph', announceAndInstall), 'bin')
}

async function announceAndInstall(directory: string): Promise<void> {
  process.stderr.write('installing Ceph into the cache (once, 156 MB) …\n')
  try {
    await installCeph(directory)
  } catch (error) {
    if (!isError(error)) throw error
    throw new TabletkeeperError(
      'NotFound',
      `Ceph is not on this machine and could not be installed privately: ${error.message}`,
      { hint: `${ON_PATH}, or set CEPH_BIN to the directory of its programs.`, cause: error },
    )
  }
}
