import { escape as quoted } from 'mysql2'
import { z } from 'zod'
import type { MysqlConnection } from './admin.ts'

/** What the agent's account needs on its own server: all statements of this folder run with exactly these. */
export const REQUIRED_GRANTS = [
  {
    on: '*.*',
    privileges: [
      'SHUTDOWN',
      'RELOAD',
      'PROCESS',
      'REPLICATION CLIENT',
      // Without it information_schema.tables shows no table; with it, no data.
      'SHOW VIEW',
      'REPLICATION_SLAVE_ADMIN',
      'SYSTEM_VARIABLES_ADMIN',
      'CONNECTION_ADMIN',
      'XA_RECOVER_ADMIN',
      'BACKUP_ADMIN',
      'PERSIST_RO_VARIABLES_ADMIN',
    ],
  },
  { on: 'performance_schema.*', privileges: ['SELECT'] },
] as const

/** How the agent's account logs in over the socket. */
export type AdminLogin = { readonly operatingSystemUser: string } | { readonly password: string }

/**
 * Statements, without their final semicolon, that create the agent's account or complete its grants. They write GTIDs unless
 * `sql_log_bin` is 0, and hold the password where there is one.
 */
export function createAdminUserStatements(user: string, login: AdminLogin): string[] {
  const account = accountOf(user)
  const identified = 'password' in login ? `IDENTIFIED BY ${quoted(login.password)}` : bySocket(login)
  return [
    `CREATE USER IF NOT EXISTS ${account} ${identified}`,
    ...REQUIRED_GRANTS.map((grant) => grantStatement(grant, account)),
  ]
}

/** The statement that makes an account, which is there, let the agent in by this login, whatever it was before. */
export function changeAdminUserStatement(user: string, login: AdminLogin): string {
  const identified =
    'password' in login ? `IDENTIFIED WITH caching_sha2_password BY ${quoted(login.password)}` : bySocket(login)
  return `ALTER USER ${accountOf(user)} ${identified} REQUIRE NONE ACCOUNT UNLOCK`
}

function grantStatement(
  grant: { readonly privileges: readonly string[]; readonly on: string },
  account: string,
): string {
  return `GRANT ${grant.privileges.join(', ')} ON ${grant.on} TO ${account}`
}

function accountOf(user: string): string {
  return `${quoted(user)}@'localhost'`
}

function bySocket({ operatingSystemUser }: Extract<AdminLogin, { readonly operatingSystemUser: string }>): string {
  return `IDENTIFIED WITH auth_socket AS ${quoted(operatingSystemUser)}`
}

/** How an account of the agent gets grants that `missingGrants` names: the statements, one for each level, and where to type them. */
export function howToGrant(missing: readonly string[], user: string): string {
  const split = missing.map((grant) => {
    const at = grant.lastIndexOf(' ON ')
    return { privilege: grant.slice(0, at), on: grant.slice(at + ' ON '.length) }
  })
  const statements = [...Map.groupBy(split, ({ on }) => on)].map(([on, grants]) =>
    grantStatement({ privileges: grants.map(({ privilege }) => privilege), on }, accountOf(user)),
  )
  return `On the primary (replicas get it from there): ${statements.map((statement) => `${statement};`).join(' ')}`
}

/** Those of `REQUIRED_GRANTS` that the session's account has neither itself nor by an active role: `RELOAD ON *.*`. */
export async function missingGrants(connection: MysqlConnection): Promise<string[]> {
  const { roles } = await connection.one('SELECT CURRENT_ROLE() AS roles', z.object({ roles: z.string() }))
  const rows = await connection.query(
    `SHOW GRANTS FOR CURRENT_USER()${roles === 'NONE' ? '' : ` USING ${roles}`}`,
    z.record(z.string(), z.string()),
  )
  const granted = new Set(rows.flatMap((row) => Object.values(row)).flatMap(grantedBy))
  return REQUIRED_GRANTS.flatMap(({ privileges, on }) =>
    privileges
      .filter(
        (privilege) =>
          ![privilege, 'ALL PRIVILEGES'].some((p) => granted.has(`${p} ON ${on}`) || granted.has(`${p} ON *.*`)),
      )
      .map((privilege) => `${privilege} ON ${on}`),
  )
}

/** Reads one line of SHOW GRANTS, such as "GRANT SELECT, INSERT ON `performance_schema`.* TO …". */
function grantedBy(line: string): string[] {
  const [, privileges, level] = /^GRANT (.+?) ON (\S+) TO /.exec(line) ?? []
  if (privileges === undefined || level === undefined) return []
  return privileges.split(/, ?/).map((privilege) => `${privilege} ON ${level.replaceAll('`', '')}`)
}
