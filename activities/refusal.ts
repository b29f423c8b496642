import { TabletkeeperError } from '../model/errors.ts'
import type { TabletDriver } from '../tablets/driver.ts'

/** @returns the refusal of a run that has not begun: what is the matter with its tablet, and what to do */
export function refused(
  { tablet }: { readonly tablet: { readonly driver: Pick<TabletDriver, 'alias'> } },
  message: string,
  hint: string,
): TabletkeeperError {
  return new TabletkeeperError('Refused', `${tablet.driver.alias} ${message}`, { hint: `Nothing was changed. ${hint}` })
}
