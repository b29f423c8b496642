import { lockStopped, stopOf } from '../tablets/stop-fence.ts'
import type { TabletActivities } from './contract.ts'
import { onTablet, type TabletContext, underLease } from './tablet-context.ts'

/** Step 4 where the file system can: mysqld is down while its files are cloned, not while they are copied. */
export function cloneActivities(context: TabletContext): Pick<TabletActivities, 'cloneFiles' | 'dropClone'> {
  const { tablet, clones } = context
  const { driver } = tablet
  return {
    cloneFiles: underLease(context, 'cloneFiles', async (step, { token, backup }, attempt) => {
      const { namespace, workflowId, runId } = attempt
      const stop = stopOf(step.lease, driver)
      step.holds(await lockStopped(await driver.layout(), driver))
      return { files: await clones.make({ token, namespace, workflowId, runId, backup }, stop, step.signal) }
    }),

    dropClone: onTablet(context, async (attempt, { token }) => {
      attempt.sign({ waitingFor: 'the clone to be removed' })
      await clones.drop(token)
    }),
  }
}
