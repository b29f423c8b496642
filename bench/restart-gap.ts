import { TabletkeeperError } from '../model/errors.ts'

/** A line of mysqld's error log: `2026-11-25T15:40:26.012417Z 0 [System] [MY-010910] [Server] …`. */
const LINE = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6})Z .*\[(MY-\d{6})\]/gm
const SHUTDOWN_COMPLETE = 'MY-010910'
const STARTING = 'MY-010116'

/**
 * Seconds between the end of a mysqld and the beginning of the next one, the last time that it was so, from mysqld's own log: its stop
 * and its start are not in it.
 * @throws NotFound when the log shows no restart
 */
export function lastRestartGap(errorLog: string): number {
  let stopped: number | undefined
  let gap: number | undefined
  for (const [, time, code] of errorLog.matchAll(LINE)) {
    const at = Date.parse(`${time?.slice(0, 23)}Z`) / 1000 + Number(time?.slice(23)) / 1e6
    if (code === SHUTDOWN_COMPLETE) stopped = at
    if (code !== STARTING || stopped === undefined) continue
    gap = at - stopped
    stopped = undefined
  }
  if (gap !== undefined) return gap
  throw new TabletkeeperError('NotFound', "mysqld's log shows no stop with a start after it")
}
