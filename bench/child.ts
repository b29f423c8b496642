import { execFile } from 'node:child_process'
import { join } from 'node:path'
import type { z } from 'zod'
import { TabletkeeperError } from '../model/errors.ts'
import { provideCompiled } from './compiled.ts'

/** Scripts of this folder that do one job in a process of their own, so that time and memory are theirs alone. */
export type OnceScript = 'command-once' | 'copy-once' | 'limit-once' | 'one-by-one-once'

/**
 * Runs one of the scripts with a job, which it gets as JSON on stdin, and returns what it prints, which is JSON too.
 * @throws NotFound with what it said, when it fails
 */
export async function runOnce<Schema extends z.ZodType>(
  script: OnceScript,
  job: unknown,
  schema: Schema,
  environment: Readonly<Record<string, string>> = {},
): Promise<z.output<Schema>> {
  const path = join(await provideCompiled(), 'bench', `${script}.js`)
  const printed = await new Promise<string>((resolve, reject) => {
    const options = { maxBuffer: 64 << 20, env: { ...process.env, ...environment } }
    const child = execFile(process.execPath, [path], options, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout)
      const reason = `${script} failed (${error.code ?? error.signal}):\n${stderr.trim()}`
      reject(new TabletkeeperError('NotFound', reason, { cause: error }))
    })
    child.stdin?.on('error', () => undefined)
    child.stdin?.end(JSON.stringify(job))
  })
  return schema.parse(JSON.parse(printed))
}
