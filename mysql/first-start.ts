import type { MysqlConnection } from './admin.ts'
import { setGlobal } from './global-variables.ts'
import { readServerOptions } from './server-options.ts'
import { FIRST_START_VARIABLES } from './staged-config.ts'

/**
 * Lets restored data forget how they were started first, so that the next start goes by the configuration again. The server stays
 * read-only; its event scheduler is what its configuration says.
 */
export async function liftFirstStart(
  connection: MysqlConnection,
  server: { readonly mysqld: string; readonly defaultsFile: string },
): Promise<void> {
  for (const name of Object.keys(FIRST_START_VARIABLES)) await connection.execute(`RESET PERSIST IF EXISTS ${name}`)
  const configured = (await readServerOptions(server.mysqld, server.defaultsFile)).get('event-scheduler') ?? 'ON'
  if (configured === 'ON') await setGlobal(connection, 'event_scheduler', configured)
}
