import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { temporaryDirectory } from '../storage/temporary-directory.ts'

const run = promisify(execFile)

test('calls that hang keep nobody else from the file system', async () => {
  const directory = await temporaryDirectory()
  const fifo = join(directory, 'fifo')
  await run('mkfifo', [fifo])
  const program = join(import.meta.dirname, '../../client/thread-pool.ts')
  // Nobody writes to it: each open waits for ever, as one on a hung mount does.
  const script = `
    await import(${JSON.stringify(program)})
    const { open, stat } = await import('node:fs/promises')
    for (let count = 0; count < 64; count++) void open(${JSON.stringify(fifo)}).catch(() => {})
    await new Promise((resolve) => setTimeout(resolve, 200))
    await stat('/')
    process.stdout.write('answered', () => process.kill(process.pid, 'SIGKILL'))`
  const { UV_THREADPOOL_SIZE: _, ...env } = process.env
  const ended = await run(process.execPath, ['--input-type=module', '--eval', script], { env, timeout: 60_000 }).catch(
    (error: unknown) => error,
  )
  expect(ended).toMatchObject({ stdout: 'answered' })
})
