import { TabletkeeperError } from '../model/errors.ts'
import type { TabletContext } from './tablet-context.ts'

/** @returns the refusal of a run that has not begun: what is the matter with its tablet, and what to do */
export function refused({ tablet }: TabletContext, message: string, hint: string): TabletkeeperError {
  return new TabletkeeperError('Refused', `${tablet.driver.alias} ${message}`, { hint: `Nothing was changed. ${hint}` })
}
