import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type CopyOrder, type CopyOutcome, copyOutcome } from './copy-order.ts'

/** A process that copies, from the moment at which it begins to. */
export interface CopyChild extends AsyncDisposable {
  /** Undefined when it was killed. */
  readonly outcome: Promise<CopyOutcome | undefined>
}

/** Starts a process that does nothing but `order`; it is killed when it is disposed of, if it has not ended. */
export async function startCopy(order: CopyOrder): Promise<CopyChild> {
  const program = join(import.meta.dirname, 'copy-process.ts')
  const child: ChildProcess = spawn(process.execPath, [program, JSON.stringify(order)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'close')
  const kill = () => void child.kill('SIGKILL')
  if (child.stdout === null) throw new Error('its output is a pipe')
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  const { value } = await lines.next()
  if (value !== 'ready') throw new Error('the process that copies did not begin')
  const outcomeOf = async (): Promise<CopyOutcome | undefined> => {
    const line = await lines.next()
    const [status, signal] = await ended
    if (signal === 'SIGKILL') return undefined
    if (status !== 0 || line.done) throw new Error(`the process that copies ended by ${status ?? signal}`)
    return copyOutcome.parse(JSON.parse(line.value))
  }
  const dispose = async () => {
    kill()
    await ended
  }
  return { outcome: outcomeOf(), [Symbol.asyncDispose]: dispose }
}

/** Runs such a process to its end. */
export async function runCopy(order: CopyOrder): Promise<CopyOutcome> {
  await using child = await startCopy(order)
  const outcome = await child.outcome
  if (outcome === undefined) throw new Error('somebody has killed the process that copies')
  return outcome
}
