import { randomInt, randomUUID } from 'node:crypto'
import { open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { giveToOwner } from '../data/private-folder.ts'
import { orMissing } from '../system/system-error.ts'
import type { ServerLayout } from './my-cnf.ts'
import { readPersisted } from './persisted-file.ts'
import {
  formatPersisted,
  OLD_NAMES,
  PERSISTED_FILE,
  type PersistedVariables,
  persistedValue,
  withoutPersisted,
  withPersisted,
} from './persisted-variables.ts'

/** Who the server on staged data will be. */
export interface StagedIdentity {
  readonly serverUuid: string
  readonly serverId: number
  /**
   * Values that the host had persisted itself for variables which hold other ones for the first start (`liftFirstStart` gives those back).
   */
  readonly overridden: Readonly<Record<string, string>>
}

const IDENTITY_FILE = 'auto.cnf'
const UUID = /^\s*server-uuid\s*=\s*([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\s*$/im
const SERVER_IDS = { from: 100, before: 2 ** 31 } as const

/**
 * How data that came from another server are started first: nothing may write to them or replicate on its own. It stands in the data
 * directory, since this beats every configuration file, whoever starts mysqld.
 */
const FIRST_START = {
  dynamic: { super_read_only: 'ON', event_scheduler: 'OFF' },
  static: { skip_replica_start: 'ON', relay_log_recovery: 'ON' },
} as const

/**
 * A new server replays the primary's log from its beginning. As a rule that has the statement which creates the agent's account, and here
 * it exists already (ER_CANNOT_USER 1396): what is said of accounts that are there, or not, is passed over until mysqld is started again.
 */
const NEW_SERVER = { replica_skip_errors: '1396' } as const

/** What is persisted for a first start only. */
export const FIRST_START_VARIABLES = [FIRST_START.dynamic, FIRST_START.static, NEW_SERVER].flatMap(Object.keys)

/**
 * Writes what makes staged data this host's: `auto.cnf` with the server UUID that the host has (a new one on a new host), and
 * `mysqld-auto.cnf` with what the host had persisted, a fresh `server_id`, and the settings of a quiet first start. A `server_id` that was
 * used before would make the server skip its own earlier transactions when they come back from the primary.
 * @param data whether they come from a backup, or are a new server's that has no transactions
 * @throws Refused when the host's own `mysqld-auto.cnf` is damaged
 */
export async function prepareStaged(
  staging: string,
  target: Pick<ServerLayout, 'datadir'>,
  data: 'restored' | 'new' = 'restored',
): Promise<StagedIdentity> {
  const persisted = await readPersisted(target.datadir)
  const serverId = freshServerId()
  const serverUuid = (await serverUuidOf(target.datadir)) ?? randomUUID()
  await write(target.datadir, join(staging, IDENTITY_FILE), `[auto]\nserver-uuid=${serverUuid}\n`)
  await write(target.datadir, join(staging, PERSISTED_FILE), formatPersisted(forFirstStart(persisted, serverId, data)))
  const overridden = FIRST_START_VARIABLES.flatMap((name) => {
    const value = persistedValue(persisted, name)
    return value === undefined ? [] : [[name, value] as const]
  })
  return { serverUuid, serverId, overridden: Object.fromEntries(overridden) }
}

/** Persisted variables for the first start of a server with `serverId`: the host's own, where they do not contradict. */
export function forFirstStart(
  persisted: PersistedVariables,
  serverId: number,
  data: 'restored' | 'new',
): PersistedVariables {
  const current = withoutPersisted(persisted, OLD_NAMES)
  const quiet = withPersisted(current, 'mysql_dynamic_variables', FIRST_START.dynamic)
  return withPersisted(quiet, 'mysql_static_variables', {
    ...FIRST_START.static,
    ...(data === 'new' ? NEW_SERVER : {}),
    server_id: String(serverId),
  })
}

/** A random number for `server_id`, from 100 to 2^31 − 1: low ones are what people give by hand. */
export function freshServerId(): number {
  return randomInt(SERVER_IDS.from, SERVER_IDS.before)
}

/** The UUID that the server on `datadir` has or will have; undefined when it will make one. */
export async function serverUuidOf(datadir: string): Promise<string | undefined> {
  const text = await orMissing(readFile(join(datadir, IDENTITY_FILE), 'utf8'))
  return text === undefined ? undefined : UUID.exec(text)?.[1]
}

async function write(datadir: string, path: string, text: string): Promise<void> {
  {
    await using file = await open(path, 'w', 0o640)
    await file.writeFile(text)
    await file.sync()
  }
  await giveToOwner(datadir, path)
}
