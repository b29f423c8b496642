import { readFile } from 'node:fs/promises'
import { setTimeout as pause } from 'node:timers/promises'

const WINDOW = 500
const QUIET = 0.06

/** Share of the time of all cores, 0 to 1, that something ran or waited for a disk during `milliseconds`. */
async function busyShare(milliseconds: number): Promise<number> {
  const before = parseCpuTimes(await readFile('/proc/stat', 'utf8'))
  await pause(milliseconds)
  const after = parseCpuTimes(await readFile('/proc/stat', 'utf8'))
  const total = after.total - before.total
  return total === 0 ? 0 : 1 - (after.idle - before.idle) / total
}

/** Ticks of all cores since the machine started, of `/proc/stat` (proc(5)). */
export function parseCpuTimes(stat: string): { readonly total: number; readonly idle: number } {
  const ticks = (/^cpu +(.*)$/m.exec(stat)?.[1] ?? '').split(' ').map(Number)
  return { total: ticks.slice(0, 8).reduce((sum, value) => sum + value, 0), idle: ticks[3] ?? 0 }
}

/**
 * Waits until the machine does next to nothing.
 * @param patience the longest wait, in milliseconds
 * @returns the share of all cores that is busy still: what a measurement beside it is worth
 */
export async function awaitQuiet(patience: number): Promise<number> {
  const end = performance.now() + patience
  for (;;) {
    const busy = await busyShare(WINDOW)
    if (busy <= QUIET || performance.now() > end) return busy
  }
}
