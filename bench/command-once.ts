// Runs one pipeline of shell commands and prints what it took. In a process of its own, whose only children are the pipeline's.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { z } from 'zod'
import { answer, readJob } from './job.ts'
import { childrenUsage } from './usage.ts'

const { pipeline, durable } = await readJob(
  z.object({
    /** For bash; it reads its arguments as `$1` and so on. */
    pipeline: z.object({ script: z.string(), arguments: z.array(z.string()) }),
    /** The directory whose file system is made durable afterwards. */
    durable: z.string(),
  }),
)

async function run(script: string, ...scriptArguments: string[]): Promise<number> {
  const begin = performance.now()
  const child = spawn('bash', ['-c', `set -o pipefail; ${script}`, 'bash', ...scriptArguments], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const [status] = await once(child, 'exit')
  if (status !== 0) throw new Error(`${script} ended with ${status}`)
  return (performance.now() - begin) / 1000
}

const seconds = await run(pipeline.script, ...pipeline.arguments)
const usage = childrenUsage()
answer({ seconds, syncSeconds: await run('sync -f "$1"', durable), ...usage })
