import { readFile } from 'node:fs/promises'

/** The most memory that this process had at any time. Not what getrusage tells: that counts what its parent had when it started it. */
export async function peakMebibytes(): Promise<number> {
  const [, kibibytes] = /^VmHWM:\s+(\d+) kB$/m.exec(await readFile('/proc/self/status', 'utf8')) ?? []
  return Number(kibibytes) / 1024
}
