import type { Connection } from 'mysql2/promise'

/** A table of the sample, and how its rows come to be. `i` is the number of the row, `w` a few words of text. */
interface SampleTable {
  readonly name: string
  readonly definition: string
  /** Columns and the expressions that fill them. */
  readonly row: Readonly<Record<string, string>>
  /** Bytes that a row takes on disk, about. */
  readonly rowBytes: number
  /** Part of the whole sample. */
  readonly share: number
}

export const SAMPLE_DATABASE = 'commerce'

const WORDS = [
  'ocean',
  'lantern',
  'copper',
  'meadow',
  'harbour',
  'violet',
  'granite',
  'ember',
  'willow',
  'cinder',
  'orchard',
  'falcon',
]
const WORD = `ELT(1 + FLOOR(RAND() * ${WORDS.length}), ${WORDS.map((word) => `'${word}'`).join(', ')})`
const SENTENCE = `CONCAT_WS(' ', ${Array.from({ length: 10 }, () => WORD).join(', ')})`
const ROWS_AT_ONCE = 5_000

const TABLES: readonly SampleTable[] = [
  {
    name: 'customer',
    definition: `(id BIGINT UNSIGNED PRIMARY KEY AUTO_INCREMENT, email VARCHAR(120) NOT NULL, name VARCHAR(80) NOT NULL,
      note VARCHAR(255) NOT NULL, visits INT NOT NULL DEFAULT 0, since DATETIME(3) NOT NULL, KEY by_email (email))`,
    row: { email: `CONCAT(HEX(RANDOM_BYTES(8)), '@example.com')`, name: WORD, note: SENTENCE, since: 'NOW(3)' },
    rowBytes: 420,
    share: 0.25,
  },
  {
    name: 'orders',
    definition: `(id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT, placed DATE NOT NULL, customer BIGINT UNSIGNED NOT NULL,
      total DECIMAL(12,2) NOT NULL, reference VARBINARY(64) NOT NULL, PRIMARY KEY (id, placed), KEY by_customer (customer))
      PARTITION BY RANGE COLUMNS (placed) (PARTITION p2024 VALUES LESS THAN ('2025-01-01'),
      PARTITION p2025 VALUES LESS THAN ('2026-01-01'),
      PARTITION later VALUES LESS THAN (MAXVALUE))`,
    row: {
      placed: `DATE '2024-01-01' + INTERVAL FLOOR(RAND() * 1090) DAY`,
      customer: '1 + FLOOR(RAND() * 10000)',
      total: 'RAND() * 1000',
      reference: 'RANDOM_BYTES(64)',
    },
    rowBytes: 220,
    share: 0.25,
  },
  {
    name: 'event_archive',
    definition: `(id BIGINT UNSIGNED PRIMARY KEY AUTO_INCREMENT, kind VARCHAR(20) NOT NULL, body TEXT NOT NULL)
      ROW_FORMAT=COMPRESSED KEY_BLOCK_SIZE=8`,
    row: { kind: WORD, body: `REPEAT(CONCAT(${SENTENCE}, HEX(RANDOM_BYTES(16)), ' '), 4)` },
    rowBytes: 330,
    share: 0.1,
  },
  {
    name: 'article',
    definition: `(id BIGINT UNSIGNED PRIMARY KEY AUTO_INCREMENT, title VARCHAR(80) NOT NULL, body TEXT NOT NULL,
      FULLTEXT KEY by_text (title, body))`,
    row: { title: `CONCAT(${WORD}, ' ', i)`, body: `CONCAT_WS('. ', ${SENTENCE}, ${SENTENCE})` },
    rowBytes: 1300,
    share: 0.05,
  },
  {
    name: 'document',
    definition: '(id BIGINT UNSIGNED PRIMARY KEY AUTO_INCREMENT, about JSON NOT NULL, content LONGBLOB NOT NULL)',
    row: {
      about: `JSON_OBJECT('number', i, 'title', ${SENTENCE}, 'tags', JSON_ARRAY(${WORD}, ${WORD}))`,
      content: `CONCAT(${Array.from({ length: 8 }, () => 'RANDOM_BYTES(1024)').join(', ')}, REPEAT(${SENTENCE}, 60))`,
    },
    rowBytes: 16_384,
    share: 0.35,
  },
  {
    name: 'größe #1',
    definition: '(id INT PRIMARY KEY AUTO_INCREMENT, wert VARCHAR(40) COLLATE utf8mb4_de_pb_0900_ai_ci NOT NULL)',
    row: { wert: `CONCAT('Größe ', i)` },
    rowBytes: 60,
    share: 0.001,
  },
  { name: 'waiting_list', definition: '(id INT PRIMARY KEY, since DATETIME NOT NULL)', row: {}, rowBytes: 1, share: 0 },
]

/**
 * Creates the database `commerce` with InnoDB tables of several kinds: plain, partitioned, compressed, full text, JSON
 * and large objects, a name that is no plain file name, an empty one.
 * @param megabytes size on disk of all rows together, about
 */
export async function loadSampleData(connection: Connection, megabytes: number): Promise<void> {
  await connection.query(`CREATE DATABASE IF NOT EXISTS ${SAMPLE_DATABASE}`)
  await connection.query(`USE ${SAMPLE_DATABASE}`)
  await connection.query(`SET SESSION cte_max_recursion_depth = ${ROWS_AT_ONCE}`)
  for (const { name, definition, row, rowBytes, share } of TABLES) {
    await connection.query(`CREATE TABLE \`${name}\` ${definition}`)
    const rows = Math.ceil((megabytes * share * 1_000_000) / rowBytes)
    const atOnce = Math.max(1, Math.min(ROWS_AT_ONCE, Math.floor(4_000_000 / rowBytes)))
    for (let first = 1; first <= rows; first += atOnce) {
      const last = Math.min(rows, first + atOnce - 1)
      await connection.query(
        `INSERT INTO \`${name}\` (${Object.keys(row).join(', ')})
         WITH RECURSIVE n (i) AS (SELECT ${first} UNION ALL SELECT i + 1 FROM n WHERE i < ${last})
         SELECT ${Object.values(row).join(', ')} FROM n`,
      )
    }
  }
}
