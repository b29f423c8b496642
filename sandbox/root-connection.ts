import { type Connection, createConnection } from 'mysql2/promise'

/**
 * A connection of mysqld's root over its socket, for us who are the operating-system user that it trusts
 * (`auth_socket`).
 */
export async function connectAsRoot(socketPath: string, database?: string): Promise<Connection> {
  return createConnection({
    socketPath,
    user: 'root',
    ...(database === undefined ? {} : { database }),
    supportBigNumbers: true,
    // The server asks the kernel who we are; the plugin's answer is empty.
    authPlugins: { auth_socket: () => () => Buffer.alloc(0) },
  })
}
