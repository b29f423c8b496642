import { z } from 'zod'
import type { MysqlConnection } from '../admin/admin.ts'
import { errnoOf } from '../admin/sql-errors.ts'

/** ER_WRONG_TYPE_FOR_VAR: a number for a variable of text. */
const WRONG_TYPE = 1232
const NUMBER = /^-?\d+(\.\d+)?$/

/** The values of global variables, as text; a variable that the server does not have is absent. */
export async function readGlobals(
  connection: MysqlConnection,
  names: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  if (names.length === 0) return new Map()
  const rows = await connection.query(
    `SELECT variable_name AS name, variable_value AS value FROM performance_schema.global_variables
      WHERE variable_name IN (${names.map(() => '?').join()})`,
    z.object({ name: z.string(), value: z.string() }),
    names,
  )
  return new Map(rows.map(({ name, value }) => [name, value]))
}

/** Sets a global variable to a value as `readGlobals` spells it. */
export async function setGlobal(connection: MysqlConnection, name: string, value: string): Promise<void> {
  const variable = `GLOBAL \`${name.replaceAll('`', '``')}\``
  if (!NUMBER.test(value)) return await connection.execute(`SET ${variable} = ?`, [value])
  try {
    // The pattern above lets nothing but a number into the statement: in quotes numeric variables refuse it.
    await connection.execute(`SET ${variable} = ${value}`)
  } catch (error) {
    if (errnoOf(error) !== WRONG_TYPE) throw error
    await connection.execute(`SET ${variable} = ?`, [value])
  }
}
