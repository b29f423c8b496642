import { setTimeout as delay } from 'node:timers/promises'
import { prove } from './narrator.ts'
import type { Stage } from './stage.ts'

interface ReplicaStatus {
  readonly Replica_IO_Running: string
  readonly Replica_SQL_Running: string
  readonly Seconds_Behind_Source: number | null
}

const LIMIT = 60_000

/** Waits until the replica's endpoint says that it serves, and shows on the server itself that this is true. */
export async function proveInService({ health, replica }: Stage): Promise<boolean> {
  const served = await untilServing(health(replica))
  const pid = await replica.pid()
  const up = prove('mysqld runs', pid !== undefined, `pid ${pid}`)
  if (!up) return false
  const [status] = await replica.query<ReplicaStatus>('SHOW REPLICA STATUS')
  const threads = [status?.Replica_IO_Running, status?.Replica_SQL_Running]
  const runs = prove(
    'replication runs',
    threads.every((thread) => thread === 'Yes'),
    `IO ${threads[0]}, SQL ${threads[1]}`,
  )
  const restored = prove(
    'the type is restored',
    served.serving && served.type === 'REPLICA',
    `${served.type}, ${served.reason}`,
  )
  return runs && restored
}

interface Served {
  readonly serving: boolean
  readonly type: string
  readonly reason: string
}

async function untilServing(url: string): Promise<Served> {
  const deadline = Date.now() + LIMIT
  for (;;) {
    const response = await fetch(url)
    const body = (await response.json()) as Served
    if (response.status === 200 || Date.now() > deadline) return body
    await delay(200)
  }
}
