import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { Milliseconds } from '../../model/units.ts'

/** A server that is up greets at once; one that is not ready yet accepts connections long before it does. */
const GREETING_WITHIN = 2_000 as Milliseconds

/** Whether a MySQL server greets on this socket: it is ready for sessions, whatever accounts it has. */
export async function greets(socketPath: string): Promise<boolean> {
  const socket = connect({ path: socketPath })
  const stopWaiting = new AbortController()
  const { promise, resolve } = Promise.withResolvers<boolean>()
  socket.once('data', () => resolve(true))
  socket.once('error', () => resolve(false))
  socket.once('close', () => resolve(false))
  try {
    return await Promise.race([promise, delay(GREETING_WITHIN, false, { signal: stopWaiting.signal })])
  } finally {
    stopWaiting.abort()
    socket.destroy()
  }
}
