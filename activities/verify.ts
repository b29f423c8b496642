import { verifyBackup } from '../engine/verify/verify-copy.ts'
import type { Config } from '../model/config.ts'
import { findPublished } from '../storage/catalogue/published.ts'
import type { ObjectStore } from '../storage/object-store.ts'
import { SoleWork } from '../tablets/sole-work.ts'
import { type ActivityHost, activity } from './activity.ts'
import type { VerifyActivities } from './contract.ts'
import { unlessHung, watchForStall } from './stall.ts'
import { filesAtOnce } from './tablet-context.ts'

/** Reading whole backups from storage; control does it, and any process could that reaches the storage. */
export function verifyActivities(store: ObjectStore, config: Config, host: ActivityHost): VerifyActivities {
  const work = new SoleWork()
  let before: Promise<unknown> = Promise.resolve()
  /** One at a time: each takes all cores, and memory for the frames on their way. */
  const inTurn = <T>(act: () => Promise<T>): Promise<T> => {
    const turn = before.then(act)
    before = turn.catch(() => undefined)
    return turn
  }
  return {
    findPublished: activity(host, async (attempt, { shard }) => {
      attempt.sign({ waitingFor: 'storage to list the backups' })
      const look = () => findPublished(store, shard, 'latest')
      const { name } = await unlessHung(attempt.signal, store.description, look)
      return { backup: name }
    }),

    verifyObjects: activity(host, (attempt, { shard, backup, concurrency }) => {
      if (work.isRunning) attempt.sign({ waitingFor: 'another verification by this control' })
      return inTurn(async () => {
        attempt.signal.throwIfAborted()
        const { ended } = work.begin(
          { name: `the verification of ${backup}`, signal: attempt.signal },
          async ({ signal, giveUp }) => {
            using stall = watchForStall({ giveUp }, store.description)
            const published = await findPublished(store, shard, backup)
            return await verifyBackup({
              ...published,
              store,
              concurrency: filesAtOnce(concurrency ?? config.restore.concurrency),
              signal,
              onProgress: (progress) => {
                stall.seen(progress)
                attempt.sign(progress)
              },
            })
          },
        )
        return await ended
      })
    }),
  }
}
