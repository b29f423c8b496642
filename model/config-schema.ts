import { z } from 'zod'
import { isTree } from './config-tree.ts'
import { type Milliseconds, parseDuration } from './units.ts'

/** Facts about an issue for those who put it into words. */
export interface IssueParameters {
  /** The value is text: a number must be quoted. */
  readonly isText?: true
  /** The value is never shown: somebody may have put the secret itself there. */
  readonly isSecret?: true
}

/**
 * A value that is read by a function, undefined meaning that it is wrong.
 * @param wanted reads on after "is not" or "is missing:", and says what to write
 */
function leaf<T>(wanted: string, read: (value: unknown) => T | undefined, params: IssueParameters = {}) {
  return z.unknown().transform((value, context): T => {
    const result = read(value)
    if (result !== undefined) return result
    context.addIssue({ code: 'custom', message: wanted, params: { ...params } })
    return z.NEVER
  })
}

function text(wanted: string, pattern: RegExp, params: IssueParameters = {}) {
  return leaf(wanted, (value) => (typeof value === 'string' && pattern.test(value) ? value : undefined), params)
}

function integer(wanted: string, least: number, most: number) {
  return leaf(wanted, (value) => (isInteger(value, least, most) ? value : undefined))
}

function isInteger(value: unknown, least: number, most: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most
}

function choice<const T extends string>(...choices: readonly T[]) {
  return leaf(`one of ${choices.join(', ')}`, (value) => choices.find((one) => one === value))
}

/** A map with just these keys. The message of its unrecognized_keys is the list of them. */
function section<T extends z.core.$ZodLooseShape>(shape: T) {
  return z.strictObject(shape, {
    error: ({ code }) => (code === 'unrecognized_keys' ? Object.keys(shape).join(', ') : 'a map of keys'),
  })
}

/** Node's timers fire at once when they are set for 2^31 ms or more. */
const LONGEST = 24 * 86_400_000

const duration = leaf('a duration; write 30s, 15m, 2d', readDuration).refine(
  (milliseconds) => milliseconds <= LONGEST,
  { error: 'a duration of at most 24 days; write 24d or less' },
)

function readDuration(value: unknown): Milliseconds | undefined {
  try {
    return typeof value === 'string' ? parseDuration(value) : undefined
  } catch {
    return undefined
  }
}

const absolutePath = (example: string) => text(`an absolute path; write ${example}`, /^\/[^\0]*$/)
const passwordFile = text(
  'the absolute path of a file that holds the password; write /etc/tabletkeeper/repl',
  /^\/[^\0]*$/,
  { isSecret: true },
)
const user = text('the name of a MySQL account, of at most 32 characters; write repl', /^\P{Cc}{1,32}$/u, {
  isText: true,
})
const concurrency = leaf('a number of files at once; write cores, or 1 to 64', (value) =>
  value === 'cores' || isInteger(value, 1, 64) ? value : undefined,
)

const mysqlService = leaf(
  'how mysqld is started; write mysql.service (a systemd unit) or { start: …, stop: … } (commands), or leave it out: the agent runs it',
  readService,
)

/** How mysqld is started and stopped: by the agent itself, by systemd, or by commands that a shell runs. */
export type MysqlService =
  | { readonly kind: 'own' }
  | { readonly kind: 'systemd'; readonly unit: string }
  | { readonly kind: 'commands'; readonly start: string; readonly stop: string }

/** A unit's name; none that systemctl could take for an option. */
const UNIT = /^[A-Za-z0-9][A-Za-z0-9:_.\\@-]*$/

function readService(value: unknown): MysqlService | undefined {
  if (value === null) return { kind: 'own' }
  if (typeof value === 'string') return UNIT.test(value) ? { kind: 'systemd', unit: value } : undefined
  if (!isTree(value) || Object.keys(value).length !== 2) return undefined
  const { start, stop } = value
  const isCommand = (command: unknown): command is string => typeof command === 'string' && command.trim() !== ''
  return isCommand(start) && isCommand(stop) ? { kind: 'commands', start, stop } : undefined
}

const mysqlKeys = {
  defaultsFile: absolutePath('/etc/mysql/my.cnf'),
  mysqld: text('a program; write its name or its absolute path', /^(\/[^\0]*|[^\0/]+)$/, { isText: true }),
  service: mysqlService,
}

const tablet = section({
  host: text(
    'a host; write its name or address alone, the port as port: 3306',
    /^([A-Za-z0-9][A-Za-z0-9._-]*|[0-9a-fA-F]*:[0-9a-fA-F.]*:[0-9a-fA-F:.]*)$/,
    { isText: true },
  ),
  port: integer('a port; write 1 to 65535', 1, 65_535),
  type: choice('replica', 'rdonly').exactOptional(),
  mysql: section({
    ...mysqlKeys,
    admin: section({ user, passwordFile: passwordFile.exactOptional() }),
    replication: section({ user, passwordFile }),
  }),
})

const accountForAll = section({ user: user.optional(), passwordFile: passwordFile.optional() }).optional()

/** What is said for every tablet may be incomplete. */
const mysqlForAll = section({
  defaultsFile: mysqlKeys.defaultsFile.optional(),
  mysqld: mysqlKeys.mysqld.optional(),
  service: mysqlKeys.service.optional(),
  admin: accountForAll,
  replication: accountForAll,
})

const storage = z.discriminatedUnion(
  'kind',
  [
    section({ kind: z.literal('file'), root: absolutePath('/mnt/backups') }),
    z.looseObject({ kind: z.enum(['s3', 'ceph', 'gcs']) }).transform((_, context) => {
      context.addIssue({
        code: 'custom',
        path: ['kind'],
        message: 'yet supported; write file: a path, local or mounted',
      })
      return z.NEVER
    }),
  ],
  {
    error: ({ code }) =>
      code === 'invalid_union'
        ? 'a kind of storage; write file'
        : 'a map of keys; write { kind: file, root: /mnt/backups }',
  },
)

/** A configuration with everything said (config-effective.ts). */
export const configSchema = section({
  storage,
  mysql: mysqlForAll,
  shards: z.record(
    z.string(),
    z.record(z.string(), tablet, { error: 'a map of tablets; write zone1-101: { host: db1 }' }),
    {
      error: 'a map of shards; write commerce/0: { zone1-101: { host: db1 } }',
    },
  ),
  backup: section({
    concurrency,
    snapshot: choice('auto', 'reflink', 'none'),
    level: integer('a level of zstd; write 1 (fast) to 19 (small)', 1, 19),
    drainTimeout: duration,
    maxLag: duration,
    catchUpTimeout: duration,
    minServing: integer('a number of tablets; write 0 or more', 0, 1_000_000),
  }),
  restore: section({ concurrency }),
  agent: section({
    listen: leaf('an address to listen on; write 127.0.0.1:7480', readListen),
    restoreFromBackup: leaf('a switch; write true or false', (value) =>
      typeof value === 'boolean' ? value : undefined,
    ),
    deadManTimeout: duration.refine((milliseconds) => milliseconds >= 1_000, {
      error: 'long enough; write 1s or more',
    }),
    replaceData: choice('redundant', 'never', 'always'),
  }),
})

export type ParsedConfig = z.infer<typeof configSchema>

function readListen(value: unknown): { readonly host: string; readonly port: number } | undefined {
  if (typeof value !== 'string') return undefined
  const [, address, name, digits] = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+)):(\d{1,5})$/.exec(value) ?? []
  const host = address ?? name
  const port = Number(digits)
  return host !== undefined && port >= 1 && port <= 65_535 ? { host, port } : undefined
}
