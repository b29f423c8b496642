import type { Connection } from 'mysql2/promise'

/** A table of a data set. */
export interface BenchTable {
  readonly name: string
  readonly kind: 'sbtest' | 'orders'
  /** Of its tablespace, about; MiB. */
  readonly megabytes: number
}

export const DATABASE = 'bench'

interface Kind {
  readonly columns: string
  /** Added when the rows are there, as people do who load much: it is built sorted. */
  readonly index: string
  /** Columns that are filled, with expressions for the rows of the seed. */
  readonly seed: Readonly<Record<string, string>>
  /** Those of them that are made anew for each row that is copied from the seed. */
  readonly fresh: Readonly<Record<string, string>>
  /** Bytes that a row takes in the tablespace, its index included; with free space in pages and extents it is some more. */
  readonly rowBytes: number
}

/** Rows whose long columns are random. They come again after so many: 25 MB, further than any of the compressors looks back. */
const SEED_ROWS = 131_072

const digits = (count: number) => `LPAD(FLOOR(RAND() * 1e${count}), ${count}, '0')`
const groups = (count: number) => `CONCAT_WS('-', ${Array.from({ length: count }, () => digits(11)).join(', ')})`
const oneOf = (...words: readonly string[]) =>
  `ELT(1 + FLOOR(RAND() * ${words.length}), ${words.map((word) => `'${word}'`).join(', ')})`
const WORDS =
  'please leave the parcel with neighbour at number ring twice before noon fragile glass gift wrap thank you'
const sentence = (words: number) =>
  `CONCAT_WS(' ', ${Array.from({ length: words }, () => oneOf(...WORDS.split(' '))).join(', ')})`

const KINDS: Readonly<Record<BenchTable['kind'], Kind>> = {
  // The table of sysbench's oltp_* tests.
  sbtest: {
    columns: `id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, k INT NOT NULL DEFAULT 0, c CHAR(120) NOT NULL DEFAULT '',
      pad CHAR(60) NOT NULL DEFAULT ''`,
    index: 'k_1 (k)',
    seed: { k: '0', c: groups(10), pad: groups(5) },
    fresh: { k: '1 + FLOOR(RAND() * 10000000)' },
    rowBytes: 228,
  },
  orders: {
    columns: `id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, customer INT UNSIGNED NOT NULL, placed DATETIME NOT NULL,
      status VARCHAR(12) NOT NULL, total DECIMAL(10,2) NOT NULL, currency CHAR(3) NOT NULL, reference VARBINARY(16) NOT NULL,
      address VARCHAR(120) NOT NULL, note VARCHAR(200) NOT NULL`,
    index: 'by_customer (customer, placed)',
    seed: {
      customer: '0',
      placed: 'NOW()',
      status: oneOf('new', 'paid', 'packed', 'shipped', 'delivered', 'returned'),
      total: '0',
      currency: oneOf('EUR', 'EUR', 'EUR', 'USD', 'GBP', 'CHF'),
      reference: 'RANDOM_BYTES(16)',
      address: `CONCAT(${oneOf('Oak', 'Mill', 'Station', 'Church', 'Harbour', 'Park')}, ' Street ', FLOOR(RAND() * 300), ', ', ${digits(5)})`,
      note: sentence(12),
    },
    fresh: {
      customer: '1 + FLOOR(RAND() * 2000000)',
      placed: "'2024-01-01' + INTERVAL FLOOR(RAND() * 50000000) SECOND",
      total: 'RAND() * 1000',
      reference: 'RANDOM_BYTES(16)',
    },
    rowBytes: 240,
  },
}

/** `CREATE TABLE` of a table as it is in the data set. */
export function createStatement({ name, kind }: BenchTable): string {
  const { columns, index } = KINDS[kind]
  return `CREATE TABLE ${DATABASE}.${name} (${columns}, KEY ${index}) CHARACTER SET latin1`
}

/**
 * Creates the database with all tables in a server that does nothing else, two at a time.
 * @param redoBytes the capacity of the redo log that the server keeps; it is filled by updates, as in a server at work
 */
export async function fillTables(
  connect: () => Promise<Connection>,
  tables: readonly BenchTable[],
  redoBytes: number,
): Promise<void> {
  await using connection = await connect()
  await connection.query(`CREATE DATABASE ${DATABASE}`)
  await connection.query(`SET SESSION cte_max_recursion_depth = ${SEED_ROWS}`)
  const kinds = new Set(tables.map(({ kind }) => kind))
  for (const kind of kinds) await makeSeed(connection, kind)
  const waiting = [...tables]
  const fillers = [1, 2].map(async () => {
    await using own = await connect()
    for (let table = waiting.shift(); table !== undefined; table = waiting.shift()) await fillTable(own, table)
  })
  await Promise.all(fillers)
  for (const kind of kinds) await connection.query(`DROP TABLE ${DATABASE}.seed_${kind}`)
  await connection.query(`SET GLOBAL innodb_redo_log_capacity = ${redoBytes}`)
  for (const { name } of tables) await connection.query(updateStatement(name, tables.length))
}

async function makeSeed(connection: Connection, kind: BenchTable['kind']): Promise<void> {
  const { columns, seed } = KINDS[kind]
  await connection.query(`CREATE TABLE ${DATABASE}.seed_${kind} (${columns}) CHARACTER SET latin1`)
  await connection.query(
    `INSERT INTO ${DATABASE}.seed_${kind} (${Object.keys(seed).join(', ')})
     WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${SEED_ROWS})
     SELECT ${Object.values(seed).join(', ')} FROM n`,
  )
}

async function fillTable(connection: Connection, table: BenchTable): Promise<void> {
  const { columns, index, seed, fresh, rowBytes } = KINDS[table.kind]
  const place = `${DATABASE}.${table.name}`
  const rows = Math.ceil((table.megabytes * 1024 * 1024) / rowBytes)
  await connection.query(`CREATE TABLE ${place} (${columns}) CHARACTER SET latin1`)
  for (let done = 0; done < rows; done += SEED_ROWS) {
    await connection.query(
      `INSERT INTO ${place} (${Object.keys(seed).join(', ')})
       SELECT ${Object.keys(seed)
         .map((column) => fresh[column] ?? column)
         .join(', ')}
       FROM ${DATABASE}.seed_${table.kind} LIMIT ${Math.min(SEED_ROWS, rows - done)}`,
    )
  }
  await connection.query(`ALTER TABLE ${place} ADD KEY ${index}`)
}

/** Touches rows all over the table, fewer of each the more tables there are. */
function updateStatement(name: string, tables: number): string {
  const column = name.startsWith('orders') ? 'customer' : 'k'
  return `UPDATE ${DATABASE}.${name} SET ${column} = ${column} + 1 WHERE id % ${20 * tables} = 0`
}
