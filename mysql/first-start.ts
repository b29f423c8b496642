import type { MysqlConnection } from './admin.ts'
import { setGlobal } from './global-variables.ts'
import { readServerOptions } from './server-options.ts'

/** What staged data tell mysqld for its first start, whoever starts it (staged-config.ts); all but `server_id` is for that start only. */
const FOR_THE_FIRST_START = ['super_read_only', 'event_scheduler', 'skip_replica_start', 'relay_log_recovery']

/**
 * Lets restored data forget how they were started first, so that the next start goes by the configuration again. The server stays
 * read-only; its event scheduler is what its configuration says.
 */
export async function liftFirstStart(
  connection: MysqlConnection,
  server: { readonly mysqld: string; readonly defaultsFile: string },
): Promise<void> {
  for (const name of FOR_THE_FIRST_START) await connection.execute(`RESET PERSIST IF EXISTS ${name}`)
  const configured = (await readServerOptions(server.mysqld, server.defaultsFile)).get('event-scheduler') ?? 'ON'
  if (configured === 'ON') await setGlobal(connection, 'event_scheduler', configured)
}
