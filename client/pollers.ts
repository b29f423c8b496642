import type { Client } from '@temporalio/client'

/** A worker that polled a queue lately. */
export interface Poller {
  /** As the worker calls itself, usually `pid@host`. */
  readonly identity: string
  readonly lastSeen: Date
}

/** temporal.api.enums.v1.TaskQueueType */
const WORKFLOW_TASKS = 1
const ACTIVITY_TASKS = 2

/** Who polled `queue` lately for workflows or activities, newest first. */
export async function readPollers(client: Client, queue: string): Promise<Poller[]> {
  const answers = await Promise.all(
    [WORKFLOW_TASKS, ACTIVITY_TASKS].map((taskQueueType) =>
      client.workflowService.describeTaskQueue({
        namespace: client.options.namespace,
        taskQueue: { name: queue },
        taskQueueType,
      }),
    ),
  )
  const newest = new Map<string, Poller>()
  for (const { identity, lastAccessTime } of answers.flatMap((answer) => answer.pollers ?? [])) {
    const poller = { identity: identity ?? 'unknown', lastSeen: new Date(Number(lastAccessTime?.seconds ?? 0) * 1000) }
    const known = newest.get(poller.identity)
    if (known === undefined || known.lastSeen < poller.lastSeen) newest.set(poller.identity, poller)
  }
  return [...newest.values()].sort((a, b) => b.lastSeen.getTime() - a.lastSeen.getTime())
}
