import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Connection, RowDataPacket } from 'mysql2/promise'
import { type DataSet, tablespaceOf } from './data-set.ts'
import { createStatement, DATABASE } from './tables.ts'

/** A server that takes tables. */
export interface Importing {
  connect(): Promise<Connection>
  readonly datadir: string
  /** Called with each file that was put there, before the server opens it. */
  readonly own?: (path: string) => Promise<void>
}

/**
 * Gives a running server the tables of a data set: their files are copied in, and no row is sent. Nothing of it reaches the binary log,
 * so that a replica may have them and its primary not.
 */
export async function importTables(dataSet: DataSet, server: Importing): Promise<void> {
  await using connection = await server.connect()
  const [[before]] = await connection.query<({ readOnly: number; superReadOnly: number } & RowDataPacket)[]>(
    'SELECT @@global.read_only AS readOnly, @@global.super_read_only AS superReadOnly',
  )
  await connection.query('SET GLOBAL read_only = OFF')
  await connection.query('SET SESSION sql_log_bin = 0')
  try {
    await connection.query(`CREATE DATABASE ${DATABASE}`)
    for (const table of dataSet.tables) await importTable(connection, dataSet, table, server)
  } finally {
    if (before?.superReadOnly === 1) await connection.query('SET GLOBAL super_read_only = ON')
    else if (before?.readOnly === 1) await connection.query('SET GLOBAL read_only = ON')
  }
}

async function importTable(
  connection: Connection,
  dataSet: DataSet,
  table: DataSet['tables'][number],
  { datadir, own }: Importing,
): Promise<void> {
  const place = `${DATABASE}.${table.name}`
  await connection.query(createStatement(table))
  await connection.query(`ALTER TABLE ${place} DISCARD TABLESPACE`)
  const path = join(datadir, DATABASE, `${table.name}.ibd`)
  await copyFile(tablespaceOf(dataSet, table), path)
  await own?.(path)
  await connection.query(`ALTER TABLE ${place} IMPORT TABLESPACE`)
}
