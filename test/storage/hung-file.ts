import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { onTestFinished } from 'vitest'

/** A file that whoever opens it hangs at, as on a mount whose server is away. */
export interface HungFile {
  /** Resolves when somebody hangs at it. */
  readonly reached: Promise<void>
  /** Lets them go on. */
  release(): void
}

/**
 * By a lease (fcntl(2)): the kernel makes whoever opens the file wait for the one who has it, for 45 seconds at most. The signal comes
 * through a socket: one that came just before a read would not be looked at until the read ends.
 */
const HOLD = `
import fcntl, os, select, signal, socket, sys
awaken, awoken = socket.socketpair()
awaken.setblocking(False)
signal.set_wakeup_fd(awaken.fileno())
signal.signal(signal.SIGIO, lambda *_: None)
descriptor = os.open(sys.argv[1], os.O_RDWR)
fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print('held', flush=True)
ready = []
while sys.stdin not in ready:
    ready, _, _ = select.select([sys.stdin, awoken], [], [])
    if awoken in ready:
        awoken.recv(1)
        print('reached', flush=True)
`

/** Makes an existing file hang, which nobody may have open. */
export async function hang(path: string): Promise<HungFile> {
  const holder: ChildProcess = spawn('python3', ['-c', HOLD, path], { stdio: ['pipe', 'pipe', 'inherit'] })
  const release = (): void => void holder.stdin?.end()
  onTestFinished(release)
  const [held, reached] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  if (holder.stdout === null) throw new Error('its output is a pipe')
  createInterface(holder.stdout)
    .on('line', (line) => (line === 'held' ? held : reached).resolve())
    .on('close', () => {
      for (const one of [held, reached]) one.reject(new Error(`no lease on ${path} can be had`))
    })
  reached.promise.catch(() => undefined)
  await held.promise
  return { reached: reached.promise, release }
}
