import { rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { parseAlias } from '../model/alias.ts'
import { type DataFile, selectFiles } from '../mysql/data/data-directory.ts'
import { readServerLayout } from '../mysql/settings/my-cnf.ts'
import { cached } from '../sandbox/cache.ts'
import { provideMysql } from '../sandbox/provide-mysql.ts'
import { createTablet } from '../sandbox/sample-tablet.ts'
import { type BenchTable, DATABASE, fillTables } from './tables.ts'

/** How the bytes are spread over tables: in several, of which one has half; in 32 equal ones; two thirds in one. */
export type Shape = 'mixed' | 'many' | 'huge'

/** Files of a MySQL server that was stopped cleanly, and is never started again. */
export interface DataSet {
  readonly shape: Shape
  readonly tables: readonly BenchTable[]
  readonly datadir: string
  /** As a backup selects them. */
  readonly files: readonly DataFile[]
  readonly bytes: number
}

/** Counts up when data sets that are in the cache are no longer what this code makes. */
const RECIPE = 1

/** What a server has by default; `fillTables` loads with more. */
const REDO_BYTES = 100 << 20

const LOADING: Readonly<Record<string, string | number>> = {
  'skip-log-bin': 1,
  innodb_buffer_pool_size: '768M',
  innodb_redo_log_capacity: '2G',
  innodb_flush_log_at_trx_commit: 0,
  innodb_doublewrite: 'OFF',
  innodb_ddl_threads: 2,
}

/**
 * The data set of that shape with tables of about `megabytes` (MiB) together, by a real MySQL. Made once and kept in the cache:
 * 2 GB take a minute or two.
 * @throws NotFound, MysqldFailed
 */
export async function provideDataSet(shape: Shape, megabytes: number): Promise<DataSet> {
  const mysql = await provideMysql()
  const tables = tablesOf(shape, megabytes)
  const alias = parseAlias('bench-1')
  const place = await cached(`bench-${shape}-${megabytes}-${mysql.version}-${RECIPE}`, async (draft) => {
    process.stderr.write(`making the data set: ${shape}, ${megabytes} MiB (once) …\n`)
    const tablet = await createTablet({ directory: join(draft, 'tablet'), alias, mysql, settings: LOADING })
    await tablet.initialize()
    await tablet.start()
    try {
      await fillTables(() => tablet.connect(), tables, REDO_BYTES)
    } finally {
      await tablet.stop()
    }
    await rename(tablet.datadir, join(draft, 'data'))
    await rm(tablet.directory, { recursive: true })
  })
  const datadir = join(place, 'data')
  const { defaultsFile, mysqld } = await createTablet({ directory: join(place, 'tablet'), alias, mysql, datadir })
  const files = await selectFiles(await readServerLayout(mysqld, defaultsFile))
  return { shape, tables, datadir, files, bytes: files.reduce((sum, { size }) => sum + size, 0) }
}

/** The tables of a shape, the largest first. */
export function tablesOf(shape: Shape, megabytes: number): BenchTable[] {
  const named = (name: string, share: number): BenchTable => ({
    name,
    kind: name.startsWith('orders') ? 'orders' : 'sbtest',
    megabytes: megabytes * share,
  })
  switch (shape) {
    case 'mixed':
      return [
        named('sbtest1', 1 / 2),
        named('orders', 1 / 5),
        ...['sbtest2', 'sbtest3', 'sbtest4'].map((name) => named(name, 1 / 10)),
      ]
    case 'many':
      return Array.from({ length: 32 }, (_, index) => named(`${index % 4 === 3 ? 'orders' : 'sbtest'}${index}`, 1 / 32))
    case 'huge':
      return [named('sbtest1', 2 / 3), ...['orders', 'sbtest2', 'sbtest3'].map((name) => named(name, 1 / 9))]
  }
}

/** The tablespace of a table of the data set. */
export function tablespaceOf({ datadir }: Pick<DataSet, 'datadir'>, { name }: BenchTable): string {
  return join(datadir, DATABASE, `${name}.ibd`)
}
