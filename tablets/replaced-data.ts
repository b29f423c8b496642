import { GtidSet } from '../model/gtid-set.ts'
import type { Lease } from '../model/lease.ts'
import type { LeasedTablet } from './leased-tablet.ts'

/** What the data that a restore replaces had executed, and a server with `executed` has not. */
export function lostWith({ replaced }: Lease, executed: GtidSet): GtidSet {
  return replaced === undefined ? GtidSet.EMPTY : GtidSet.parse(replaced).subtract(executed)
}

/** A tablet that takes writes on restored data keeps those: what only the ones before had is gone with them, and somebody has to know. */
export function tellLost({ driver, log }: LeasedTablet, lost: GtidSet): string {
  const message = `${driver.alias} takes writes on restored data, and the ones before had transactions that are lost with them: ${lost}`
  log.error({ event: 'lost transactions', gtids: String(lost) }, message)
  return message
}
