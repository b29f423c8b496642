import { readFile } from 'node:fs/promises'
import koffi from 'koffi'

/** What processes took: seconds of CPU, user and system; the most memory at once, in bytes. */
export interface Usage {
  readonly cpuSeconds: number
  readonly maxRssBytes: number
}

// getrusage(2) on 64-bit Linux.
const timeval = koffi.struct('timeval', { tv_sec: 'long', tv_usec: 'long' })
const rusage = koffi.struct('rusage', {
  ru_utime: timeval,
  ru_stime: timeval,
  ru_maxrss: 'long',
  others: koffi.array('long', 13),
})
const getrusage = koffi.load(null).func('getrusage', 'int', ['int', koffi.out(koffi.pointer(rusage))])
const CHILDREN = -1
const SELF = 0

interface Rusage {
  readonly ru_utime: { readonly tv_sec: number; readonly tv_usec: number }
  readonly ru_stime: { readonly tv_sec: number; readonly tv_usec: number }
  readonly ru_maxrss: number
}

/** Of this process and all its threads. */
export function ownUsage(): Usage {
  return read(SELF)
}

/** Of the children of this process that have ended, with theirs. Their memory is that of the largest one. */
export function childrenUsage(): Usage {
  return read(CHILDREN)
}

function read(whose: number): Usage {
  const usage: Partial<Rusage> = {}
  if (getrusage(whose, usage) !== 0) throw new Error('getrusage failed')
  const { ru_utime, ru_stime, ru_maxrss } = usage
  if (ru_utime === undefined || ru_stime === undefined || ru_maxrss === undefined)
    throw new Error('getrusage gave nothing')
  const micros = ru_utime.tv_usec + ru_stime.tv_usec
  return { cpuSeconds: ru_utime.tv_sec + ru_stime.tv_sec + micros / 1e6, maxRssBytes: ru_maxrss * 1024 }
}

/** Linux reports ticks in this unit to programs, on every machine. */
const TICKS_PER_SECOND = 100

/** Of another process, by `/proc`. */
export async function usageOf(pid: number): Promise<Usage> {
  const [stat, status] = await Promise.all([
    readFile(`/proc/${pid}/stat`, 'utf8'),
    readFile(`/proc/${pid}/status`, 'utf8'),
  ])
  // The name of the program, in brackets, may hold anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const [utime, stime] = [Number(fields[11]), Number(fields[12])]
  return {
    cpuSeconds: (utime + stime) / TICKS_PER_SECOND,
    maxRssBytes: Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024,
  }
}
