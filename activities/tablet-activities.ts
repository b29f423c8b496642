import { agentRightsOf } from '../storage/agent-rights.ts'
import { findingActivities } from './catalogue.ts'
import { cloneActivities } from './clone.ts'
import type { TabletActivities } from './contract.ts'
import { copyActivities } from './copy.ts'
import { inspectTablet } from './inspect.ts'
import { leaseActivities } from './lease.ts'
import { preflightBackup } from './preflight-backup.ts'
import { preflightRestore } from './preflight-restore.ts'
import { publishActivities } from './publish.ts'
import { tabletActivities } from './service-steps.ts'
import { stagingActivities } from './staging.ts'
import { onTablet, type TabletContext } from './tablet-context.ts'

/** All activities of one tablet, for the worker on its queue. */
export function activitiesOf(context: TabletContext): TabletActivities {
  return {
    preflightBackup: onTablet(context, (attempt, input) => preflightBackup(context, attempt, input)),
    preflightRestore: onTablet(context, (attempt, request) => preflightRestore(context, attempt, request)),
    inspectTablet: onTablet(context, (_attempt, _none: undefined) => inspectTablet(context)),
    tellRights: onTablet(context, async (_attempt, _none: undefined) => {
      const { shard, alias: tablet } = context.tablet.driver
      return (await agentRightsOf(context.store, { shard, tablet })) ?? null
    }),
    ...findingActivities(context),
    ...leaseActivities(context),
    ...tabletActivities(context),
    ...cloneActivities(context),
    ...copyActivities(context),
    ...publishActivities(context),
    ...stagingActivities(context),
  }
}
