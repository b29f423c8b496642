import { z } from 'zod'
import {
  absolutePath,
  choice,
  duration,
  integer,
  isInteger,
  leaf,
  readSize,
  section,
  switchLeaf,
  text,
} from './config-leaves.ts'
import { storageSchema } from './config-storage.ts'
import { temporalSchema } from './config-temporal.ts'
import { isTree } from './config-tree.ts'
import { parseSize } from './units.ts'

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

/** At less, a frame takes so long that its copy seems to hang; more than the other no host can read. */
const LEAST_RATE = parseSize('1MiB')
const MOST_RATE = parseSize('1TiB')

const maxRate = leaf('a rate of 1MiB/s or more; write 200MiB/s, or none', (value) => {
  if (value === 'none') return value
  const rate = typeof value === 'string' && value.endsWith('/s') ? readSize(value.slice(0, -2)) : undefined
  return rate !== undefined && rate >= LEAST_RATE && rate <= MOST_RATE ? rate : undefined
})

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

/** A configuration with everything said (config-effective.ts). */
export const configSchema = section({
  storage: storageSchema,
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
    maxRate,
    drainTimeout: duration,
    maxLag: duration,
    catchUpTimeout: duration,
    allowPrimary: switchLeaf,
    minServing: integer('a number of tablets; write 0 or more', 0, 1_000_000),
  }),
  restore: section({ concurrency }),
  agent: section({
    listen: leaf('an address to listen on; write 127.0.0.1:7480', readListen),
    restoreFromBackup: switchLeaf,
    deadManTimeout: duration.refine((milliseconds) => milliseconds >= 1_000, {
      error: 'long enough; write 1s or more',
    }),
    replaceData: choice('redundant', 'never', 'always'),
  }),
  temporal: temporalSchema,
})

export type ParsedConfig = z.infer<typeof configSchema>

function readListen(value: unknown): { readonly host: string; readonly port: number } | undefined {
  if (typeof value !== 'string') return undefined
  const [, address, name, digits] = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+)):(\d{1,5})$/.exec(value) ?? []
  const host = address ?? name
  const port = Number(digits)
  return host !== undefined && port >= 1 && port <= 65_535 ? { host, port } : undefined
}
