import { restartPolicy } from '../mysql/process/process.ts'
import { refused } from './refusal.ts'
import type { TabletContext } from './tablet-context.ts'

/** What systemd does by itself after a clean stop. */
const RESTARTS = new Set(['always', 'on-success'])

/**
 * Sees to it that a mysqld that the agent stops stays stopped.
 * @throws Refused where systemd would start it again, or runs it without the agent knowing; InvalidConfig as `restartPolicy`
 */
export async function assertNobodyElseStartsIt(context: TabletContext): Promise<void> {
  const { driver } = context.tablet
  const { service } = driver.config.mysql
  const restart = service.kind === 'systemd' ? await restartPolicy(service.unit) : 'no'
  if (RESTARTS.has(restart)) {
    throw refused(
      context,
      `has a service that restarts by itself (Restart=${restart}): mysqld would start in mid-copy`,
      'systemctl edit the unit: Restart=on-failure',
    )
  }
  const unit = await driver.foreignUnit()
  if (unit === undefined) return
  throw refused(
    context,
    `has a mysqld that systemd runs, as ${unit}, which its configuration does not say: it could be started in mid-copy`,
    `Add to the tablet in tabletkeeper.yaml: mysql: { service: ${unit} }`,
  )
}
