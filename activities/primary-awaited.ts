import { awaitPrimary } from '../tablets/await-primary.ts'
import type { PrimaryView } from '../tablets/driver.ts'
import type { Attempt } from './activity.ts'
import type { TabletContext } from './tablet-context.ts'

/** As `awaitPrimary`, for as long as a tablet may take to catch up; the attempt says what it waits for. */
export async function primaryAwaited(
  { tablet, config }: TabletContext,
  { signal }: { readonly signal: AbortSignal },
  attempt: Attempt,
): Promise<PrimaryView> {
  return await awaitPrimary(tablet.driver, {
    timeout: config.backup.catchUpTimeout,
    signal,
    onWait: (why) => attempt.sign({ waitingFor: `a primary: ${why}` }),
  })
}
