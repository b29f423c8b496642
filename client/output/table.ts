/** A column: its title and to which side its cells are aligned. */
export interface Column {
  readonly title: string
  readonly align?: 'left' | 'right'
}

/**
 * Lines of a table: aligned under its titles for a person; for a pipe the bare rows, cells separated by tabs, without titles.
 * A row may be shorter than the columns.
 */
export function renderTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  reader: 'person' | 'pipe',
  styleTitle: (title: string) => string = (title) => title,
): string[] {
  if (reader === 'pipe') return rows.map((row) => row.map((cell) => cell.replaceAll(/[\t\n]/g, ' ')).join('\t'))
  const widths = columns.map(({ title }, at) => Math.max(title.length, ...rows.map((row) => (row[at] ?? '').length)))
  const line = (cells: readonly string[]) =>
    columns
      .map(({ align }, at) => pad(cells[at] ?? '', widths[at] ?? 0, align ?? 'left'))
      .join('  ')
      .trimEnd()
  return [styleTitle(line(columns.map(({ title }) => title))), ...rows.map(line)]
}

function pad(cell: string, width: number, align: 'left' | 'right'): string {
  return align === 'left' ? cell.padEnd(width) : cell.padStart(width)
}
