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
/** temporal.api.enums.v1.DescribeTaskQueueMode */
const ENHANCED = 1

/**
 * Who polled `queue` lately for workflows or activities, newest first. A queue has several partitions, four by default, and a poll waits at one of
 * them: the plain answer knows the first one's and what others hand on to it, the enhanced one all of them, as of some seconds ago.
 */
export async function readPollers(client: Client, queue: string): Promise<Poller[]> {
  const types = [WORKFLOW_TASKS, ACTIVITY_TASKS]
  const asked = { namespace: client.options.namespace, taskQueue: { name: queue } }
  const [partitions, ...first] = await Promise.all([
    client.workflowService.describeTaskQueue({
      ...asked,
      apiMode: ENHANCED,
      taskQueueTypes: types,
      versions: { allActive: true, unversioned: true },
      reportPollers: true,
    }),
    ...types.map((taskQueueType) => client.workflowService.describeTaskQueue({ ...asked, taskQueueType })),
  ])
  const versions = Object.values(partitions.versionsInfo ?? {})
  const all = [...first, ...versions.flatMap(({ typesInfo }) => Object.values(typesInfo ?? {}))]
  const newest = new Map<string, Poller>()
  for (const { identity, lastAccessTime } of all.flatMap(({ pollers }) => pollers ?? [])) {
    const poller = { identity: identity ?? 'unknown', lastSeen: new Date(Number(lastAccessTime?.seconds ?? 0) * 1000) }
    const known = newest.get(poller.identity)
    if (known === undefined || known.lastSeen < poller.lastSeen) newest.set(poller.identity, poller)
  }
  return [...newest.values()].sort((a, b) => b.lastSeen.getTime() - a.lastSeen.getTime())
}
