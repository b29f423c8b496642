import type { MysqlConnection } from '../admin/admin.ts'
import { setGlobal } from '../settings/global-variables.ts'
import { readServerOptions } from '../settings/server-options.ts'
import { FIRST_START_VARIABLES } from '../settings/staged-config.ts'

/**
 * Lets restored data forget how they were started first, so that the next start goes by the configuration again. The server stays
 * read-only; its event scheduler is what its configuration says.
 * @param overridden what the host had persisted for these variables (`prepareStaged`), and has again from here
 */
export async function liftFirstStart(
  connection: MysqlConnection,
  server: { readonly mysqld: string; readonly defaultsFile: string },
  overridden: Readonly<Record<string, string>>,
): Promise<void> {
  for (const name of FIRST_START_VARIABLES) {
    const value = overridden[name]
    if (value === undefined) await connection.execute(`RESET PERSIST IF EXISTS ${name}`)
    else await connection.execute(`SET PERSIST_ONLY ${name} = ?`, [value])
  }
  const configured = (await readServerOptions(server.mysqld, server.defaultsFile)).get('event-scheduler') ?? 'ON'
  if (configured === 'ON') await setGlobal(connection, 'event_scheduler', configured)
}
