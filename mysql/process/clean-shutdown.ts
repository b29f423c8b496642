import { open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { TabletkeeperError } from '../../model/errors.ts'
import type { ServerLayout } from '../settings/my-cnf.ts'
import { orMissing } from '../system/system-error.ts'
import {
  checkpointBlockOffset,
  KNOWN_REDO_FORMAT,
  parseRedoHeader,
  REDO_BLOCK_BYTES,
  REDO_DIRECTORY,
  REDO_FILE,
  REDO_HEADER_BYTES,
  type RedoHeader,
  usedBytesOfBlock,
} from './redo-log.ts'

/**
 * Whether data files were left by a clean shutdown. The LSN is a fingerprint: it is another one as soon as a mysqld has run on the files.
 */
export type ShutdownProof =
  | { readonly clean: true; readonly lsn: bigint }
  | { readonly clean: false; readonly reason: string }

/** What the proof is judged by: the beginning of the system tablespace and of each redo file, and the block of the last checkpoint. */
export interface ShutdownEvidence {
  readonly systemTablespace: Buffer
  readonly redoFiles: readonly { readonly name: string; readonly header: Buffer }[]
  /** The block of the newest checkpoint, read where `newestCheckpoint` says. */
  readonly checkpointBlock: Buffer
}

const FLUSHED_LSN_AT = 26
const SYSTEM_HEADER_BYTES = 38
const SERVER_VERSION_AT = 8

/**
 * Proves from the files that the mysqld that last ran on them stopped cleanly, with `innodb_fast_shutdown` 0 or 1: everything that the redo
 * log holds is in the data files. Its log does not tell: it says "Shutdown complete" after failed starts and after fast_shutdown=2 too.
 *
 * Clean is: the LSN in the system tablespace is that of the newest checkpoint; that is in the newest redo file; and the log ends there.
 * Right for fast_shutdown 0 and 1 (clean), 2 and SIGKILL (not clean), as seen on MySQL 9.7.
 * @throws only the system's errors about files that are there but cannot be read
 */
export async function proveCleanShutdown(
  layout: Pick<ServerLayout, 'systemTablespace' | 'innodbLogHome'>,
): Promise<ShutdownProof> {
  const redo = join(layout.innodbLogHome, REDO_DIRECTORY)
  const names = ((await orMissing(readdir(redo))) ?? []).filter((name) => REDO_FILE.test(name))
  const redoFiles = await Promise.all(
    names.map(async (name) => ({ name, header: await readBytes(join(redo, name), 0n, REDO_HEADER_BYTES) })),
  )
  const newest = newestCheckpoint(redoFiles)
  const checkpointBlock = newest
    ? await readBytes(join(redo, newest.name), newest.offset, REDO_BLOCK_BYTES)
    : Buffer.alloc(0)
  const systemTablespace = await readBytes(layout.systemTablespace, 0n, SYSTEM_HEADER_BYTES)
  return judgeShutdown({ systemTablespace, redoFiles, checkpointBlock })
}

/** The redo file that knows the newest checkpoint, and where in it the checkpoint's block is; undefined when there is none. */
export function newestCheckpoint(
  redoFiles: ShutdownEvidence['redoFiles'],
): { readonly name: string; readonly offset: bigint } | undefined {
  const newest = latest(headersOf(redoFiles), (header) => header.checkpoint)
  const offset = newest && checkpointBlockOffset(newest.header)
  return newest && offset !== undefined ? { name: newest.name, offset } : undefined
}

/** Judges the evidence. Whatever the buffers hold, it answers: short and garbled ones are not clean. */
export function judgeShutdown(evidence: ShutdownEvidence): ShutdownProof {
  const { systemTablespace, redoFiles, checkpointBlock } = evidence
  if (systemTablespace.length < SYSTEM_HEADER_BYTES) return notClean('the system tablespace has no first page')
  const flushed = systemTablespace.readBigUInt64BE(FLUSHED_LSN_AT)
  const headers = headersOf(redoFiles)
  if (redoFiles.length === 0) return notClean('there are no redo files')
  if (headers.length < redoFiles.length) return notClean('a redo file is shorter than its header')
  const unknown = headers.find(({ header }) => header.format !== KNOWN_REDO_FORMAT)
  if (unknown) return notClean(`${unknown.name} has redo format ${unknown.header.format}, only 6 is known`)
  const holder = latest(headers, (header) => header.checkpoint)
  const newest = latest(headers, (header) => header.start)
  if (!holder || !newest) return notClean('there are no redo files')
  const { checkpoint } = holder.header
  if (checkpoint !== flushed)
    return notClean(`the data files are at LSN ${flushed}, the last checkpoint at ${checkpoint}`)
  if (holder.name !== newest.name) return notClean(`the redo log goes on in ${newest.name} after the last checkpoint`)
  const used = usedBytesOfBlock(checkpointBlock)
  if (used === undefined) return notClean('the block of the last checkpoint is missing')
  if (used !== Number(checkpoint % BigInt(REDO_BLOCK_BYTES)))
    return notClean('the redo log goes on after the last checkpoint')
  return { clean: true, lsn: checkpoint }
}

/**
 * The version of the server that last upgraded the data, from `mysql.ibd`, such as `9.7.4`.
 * @throws CorruptBackup when the file does not tell
 */
export async function serverVersionOf(mysqlIbd: string): Promise<string> {
  const header = await readBytes(mysqlIbd, BigInt(SERVER_VERSION_AT), 4)
  const version = header.length === 4 ? header.readUInt32BE() : 0
  if (version >= 80_000 && version < 1_000_000) {
    return `${Math.floor(version / 10_000)}.${Math.floor(version / 100) % 100}.${version % 100}`
  }
  throw new TabletkeeperError('CorruptBackup', `${mysqlIbd} does not tell which server wrote it`, {
    hint: 'The file is missing, cut short, or no data dictionary of MySQL 8.0 or later.',
  })
}

interface NamedHeader {
  readonly name: string
  readonly header: RedoHeader
}

function headersOf(redoFiles: ShutdownEvidence['redoFiles']): NamedHeader[] {
  return redoFiles.flatMap(({ name, header }) => {
    const parsed = parseRedoHeader(header)
    return parsed ? [{ name, header: parsed }] : []
  })
}

function latest(headers: readonly NamedHeader[], by: (header: RedoHeader) => bigint): NamedHeader | undefined {
  return headers.reduce<NamedHeader | undefined>(
    (best, next) => (best === undefined || by(next.header) > by(best.header) ? next : best),
    undefined,
  )
}

function notClean(reason: string): ShutdownProof {
  return { clean: false, reason }
}

/** Up to `length` bytes at `offset`; fewer at the end of the file, none when there is no such file. */
async function readBytes(path: string, offset: bigint, length: number): Promise<Buffer> {
  const file = await orMissing(open(path, 'r'))
  if (!file) return Buffer.alloc(0)
  try {
    // A garbled header points anywhere, also where no file can reach.
    if (offset >= (await file.stat({ bigint: true })).size) return Buffer.alloc(0)
    const { bytesRead, buffer } = await file.read({ buffer: Buffer.alloc(length), position: offset })
    return buffer.subarray(0, bytesRead)
  } finally {
    await file.close()
  }
}
