import { TabletkeeperError } from './errors.ts'

/** A tablet's name, `<cell>-<uid padded to 10>`, as Vitess prints it (go/vt/topo/topoproto/tablet.go). */
export type TabletAlias = string & { readonly __brand: 'TabletAlias' }

const ALIAS = /^([a-z0-9][a-z0-9_-]{0,61})-(\d{1,10})$/i
const MAX_UID = 4_294_967_295

/**
 * Reads an alias, short (`zone1-101`) or whole (`zone1-0000000101`), and returns it whole.
 * A cell may not hold a dot: Vitess splits backup names at dots.
 * @throws InvalidInput
 */
export function parseAlias(text: string): TabletAlias {
  const [, cell, digits] = ALIAS.exec(text) ?? []
  if (cell === undefined || digits === undefined || Number(digits) > MAX_UID) {
    throw new TabletkeeperError('InvalidInput', `${JSON.stringify(text)} is not a tablet alias`, {
      hint: 'An alias is a cell and a number, such as zone1-101 or zone1-0000000101.',
    })
  }
  return `${cell}-${digits.padStart(10, '0')}` as TabletAlias
}

/** The number of the tablet within its cell. */
export function uidOf(alias: TabletAlias): number {
  return Number(alias.slice(alias.lastIndexOf('-') + 1))
}
