import { readFile } from 'node:fs/promises'
import { cpus, release, totalmem } from 'node:os'
import { runCommand } from '../sandbox/command.ts'

/** What figures depend on. Nothing that tells whose machine it is. */
export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memoryGiB: number
  readonly kernel: string
  readonly fileSystem: string
  readonly node: string
  /** Of Node; and the program that tar is piped through. */
  readonly zstd: string
  readonly zstdProgram: string
}

/** @param directory where runs write */
export async function describeMachine(directory: string): Promise<Machine> {
  const [processor] = cpus()
  return {
    cpu: processor?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 1024 ** 3),
    kernel: /^\d+(\.\d+)*/.exec(release())?.[0] ?? 'unknown',
    fileSystem: fileSystemOf(directory, await readFile('/proc/self/mounts', 'utf8')),
    node: process.versions.node,
    zstd: process.versions['zstd'] ?? 'unknown',
    zstdProgram: /v\d+(\.\d+)+/.exec(await runCommand('zstd', ['--version']))?.[0].slice(1) ?? 'unknown',
  }
}

/** The type of the file system that holds an absolute path, by `/proc/self/mounts` (proc(5)). */
export function fileSystemOf(path: string, mounts: string): string {
  const holders = mounts
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([, point = '']) => point === '/' || path === point || path.startsWith(`${point}/`))
    .sort(([, a = ''], [, b = '']) => a.length - b.length)
  // The last one that was mounted at a point hides the others.
  return holders.at(-1)?.[2] ?? 'unknown'
}
