import type { SampleTablet } from './sample-tablet.ts'

const SYSTEM_SCHEMAS = ['mysql', 'sys', 'performance_schema', 'information_schema']

/** `CHECKSUM TABLE` of every table outside the system's schemas: `commerce.orders` → its checksum. */
export async function checksumsOf(tablet: Pick<SampleTablet, 'query'>): Promise<Map<string, string>> {
  const tables = await tablet.query<{ name: string }>(
    `SELECT CONCAT('\`', table_schema, '\`.\`', table_name, '\`') AS name FROM information_schema.tables
     WHERE table_type = 'BASE TABLE' AND table_schema NOT IN (${SYSTEM_SCHEMAS.map(() => '?').join(', ')}) ORDER BY name`,
    SYSTEM_SCHEMAS,
  )
  if (tables.length === 0) return new Map()
  const rows = await tablet.query<{ Table: string; Checksum: string | number }>(
    `CHECKSUM TABLE ${tables.map(({ name }) => name).join(', ')}`,
  )
  return new Map(rows.map(({ Table, Checksum }) => [Table, String(Checksum)]))
}
