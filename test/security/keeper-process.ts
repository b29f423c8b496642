import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type BackgroundProgram, startInBackground } from '../../sandbox/background-program.ts'

const CLI = join(import.meta.dirname, '../../client/cli.ts')

export interface ProcessOptions {
  readonly environment: Readonly<Record<string, string>>
  /** Takes its log. */
  readonly log: string
  /** What its log holds when it is ready; default: that it takes tasks. */
  readonly readyWhen?: string
}

/** Starts `tabletkeeper control` or `agent` as users do, and waits until it is ready. */
export async function startProcess(
  role: 'control' | 'agent',
  { environment, log, readyWhen = '"event":"ready"' }: ProcessOptions,
): Promise<BackgroundProgram & AsyncDisposable> {
  const started = await startInBackground({
    program: process.execPath,
    arguments: [CLI, role],
    environment,
    log,
    isReady: async () => (await readFile(log, 'utf8')).includes(readyWhen),
  })
  return { ...started, [Symbol.asyncDispose]: started.stop }
}
