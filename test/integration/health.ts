import { setTimeout as delay } from 'node:timers/promises'
import { createConnection } from 'mysql2/promise'
import { z } from 'zod'
import type { TabletAlias } from '../../model/alias.ts'
import type { SampleTablet } from '../../sandbox/sample-tablet.ts'
import type { World } from './world.ts'

const bodySchema = z.object({
  serving: z.boolean(),
  type: z.string(),
  lagSeconds: z.number().nullable(),
  reason: z.string(),
})

/** What a load balancer gets to see of a tablet. */
export interface Answer extends z.infer<typeof bodySchema> {
  readonly status: number
  /** When the question was asked: what it tells was not so later than when it was answered. */
  readonly at: number
}

export async function askHealth(world: World, alias: TabletAlias): Promise<Answer> {
  const at = Date.now()
  const response = await fetch(world.health(alias))
  return { status: response.status, at, ...bodySchema.parse(await response.json()) }
}

/** Asks again and again, as a load balancer does, until stopped. */
export function watchHealth(world: World, alias: TabletAlias): { stop(): Promise<readonly Answer[]> } {
  const answers: Answer[] = []
  let isStopped = false
  const watching = (async () => {
    while (!isStopped) {
      answers.push(await askHealth(world, alias))
      await delay(50)
    }
  })()
  // Whoever stops it is told.
  watching.catch(() => undefined)
  return {
    stop: async () => {
      isStopped = true
      await watching
      return answers
    },
  }
}

/** A session of an application, which asks something ten times a second and leaves only when it is cut. */
export interface ClientSession {
  /** When an answer came last; resolves when the session was cut. */
  readonly lastAnswer: Promise<number>
}

/** Opens a session on `tablet` with an account that the agent knows nothing about. */
export async function openClient(world: World, tablet: SampleTablet): Promise<ClientSession> {
  await world.shard.primary.query("CREATE USER IF NOT EXISTS app@localhost IDENTIFIED BY 'app'")
  await world.shard.awaitReplicated(tablet)
  const connection = await createConnection({ socketPath: tablet.socket, user: 'app', password: 'app' })
  let answered = Date.now()
  const lastAnswer = (async () => {
    for (;;) {
      try {
        await connection.query('SELECT 1')
      } catch {
        connection.destroy()
        return answered
      }
      answered = Date.now()
      await delay(100)
    }
  })()
  return { lastAnswer }
}
