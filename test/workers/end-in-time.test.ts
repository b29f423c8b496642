import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { temporaryDirectory } from '../storage/temporary-directory.ts'

const run = promisify(execFile)

test('a process that has failed ends, though something hangs in a mount', async () => {
  const fifo = join(await temporaryDirectory(), 'fifo')
  await run('mkfifo', [fifo])
  const program = (path: string): string => JSON.stringify(join(import.meta.dirname, '../../workers', path))
  // Nobody writes to it: its reader waits for ever, and Node.js for that.
  const script = `
    const { endInTime } = await import(${program('end-in-time.ts')})
    const { createLog } = await import(${program('telemetry.ts')})
    const { readFile } = await import('node:fs/promises')
    void readFile(${JSON.stringify(fifo)})
    const work = async () => { throw new Error('failed') }
    await endInTime(new AbortController().signal, createLog('agent'), work, 500).catch(() => { process.exitCode = 1 })`
  const ended = await run(process.execPath, ['--input-type=module', '--eval', script], { timeout: 60_000 }).catch(
    (error: unknown) => error,
  )
  expect(ended).toMatchObject({ signal: 'SIGKILL', killed: false })
  expect(ended).toHaveProperty('stderr', expect.stringMatching(/"event":"killed".*failed 0\.5 s ago/))
})
