import { z } from 'zod'
import { messageOf } from './errors.ts'
import { parsePosition, positionOf } from './position.ts'

/** Directories that a file of a backup can belong to, in Vitess's words. */
export const FILE_BASES = ['Data', 'InnoDBData', 'InnoDBLog'] as const

const INCREMENTAL = 'makes it an incremental backup, which cannot be restored yet'

const text = z.string().default('')
const time = z.iso.datetime({ offset: true, error: 'is not a time (RFC 3339)' })
const only = <T extends string | boolean | null>(value: T, error: string) =>
  z.literal(value, { error }).default(() => value)

const position = z.string().transform((value, context) => {
  try {
    return positionOf(parsePosition(value))
  } catch (error) {
    context.addIssue({ code: 'custom', message: messageOf(error) })
    return z.NEVER
  }
})

const fileEntry = z.object({
  Base: z.enum(FILE_BASES, { error: (issue) => `${JSON.stringify(issue.input)} is none of ${FILE_BASES.join(', ')}` }),
  Name: z.string(),
  Hash: z.string().regex(/^[0-9a-f]{8}$/, 'is not a checksum of 8 hex digits'),
  ParentPath: only('', 'is not empty'),
})

const tabletkeeperSection = z.object({
  FormatVersion: z.literal(1, { error: 'is not 1: another version of tabletkeeper made it' }),
  Engine: z.literal('frames'),
  FrameSize: z
    .int()
    .min(1)
    .max(16 * 1024 * 1024),
  Files: z.array(
    z.object({
      Size: z.number(),
      Stored: z.number(),
      Hash: z.string().regex(/^[0-9a-f]{64}$/, 'is not a SHA-256 of 64 hex digits'),
    }),
  ),
  PageCheck: z.object({
    BadPages: z.int().nonnegative(),
    Pages: z.array(z.object({ File: z.int().nonnegative(), Page: z.int().nonnegative() })),
  }),
  Snapshot: z.enum(['reflink', 'none']),
  Version: z.string(),
  Workflow: z.string(),
  Run: z.string(),
  Seconds: z.number().nonnegative(),
  OutOfServiceSeconds: z.number().nonnegative(),
  Errant: position.exactOptional(),
})

/** The shape of a full backup's MANIFEST, whoever wrote it. Keys that older versions of Vitess did not write have defaults. */
export const manifestSchema = z.object({
  BackupName: text,
  BackupMethod: z
    .enum(['builtin', ''], {
      error: (issue) => `${JSON.stringify(issue.input)} is not builtin: only that engine can be restored`,
    })
    .default('builtin')
    .transform(() => 'builtin' as const),
  Position: position,
  PurgedPosition: z.union([z.literal(''), position]).default(''),
  FromPosition: only('', INCREMENTAL),
  FromBackup: only('', INCREMENTAL),
  Incremental: only(false, INCREMENTAL),
  BackupTime: time,
  FinishedTime: z.union([z.literal(''), time]).default(''),
  ServerUUID: text,
  TabletAlias: text,
  Hostname: text,
  Keyspace: text,
  Shard: text,
  MySQLVersion: text,
  UpgradeSafe: z.boolean().default(false),
  IncrementalDetails: only(null, INCREMENTAL),
  CompressionEngine: text,
  FileEntries: z.array(fileEntry).min(1, 'is empty'),
  SkipCompress: z.boolean().default(false),
  ExternalDecompressor: text,
  Tabletkeeper: tabletkeeperSection.exactOptional(),
})
