import { TabletkeeperError } from '../model/errors.ts'
import { GtidSet } from '../model/gtid-set.ts'
import type { Manifest } from '../model/manifest.ts'
import { parsePosition } from '../model/position.ts'
import type { Warning } from '../model/runs.ts'
import type { ReplicaType } from '../model/tablet-type.ts'
import { formatBytes } from '../model/units.ts'
import { connectedReplicas } from '../mysql/admin/server-state.ts'
import { emptiness } from '../mysql/data/data-directory.ts'
import { withoutChannel } from '../mysql/replication/hazards.ts'
import { readEntry } from '../storage/catalogue/catalogue.ts'
import type { PrimaryView, TabletState } from '../tablets/driver.ts'
import { dataBytesOf, roomFor } from '../tablets/restore-room.ts'
import type { Attempt } from './activity.ts'
import { assertCommitsGoOn } from './commits-go-on.ts'
import type { FoundBackup, RestorePlan } from './contract.ts'
import { assertNobodyElseStartsIt } from './mysqld-service.ts'
import { assertFree } from './preflight-backup.ts'
import { refused } from './refusal.ts'
import { unlessHung } from './stall.ts'
import type { TabletContext } from './tablet-context.ts'

interface Request {
  readonly kind: 'restore' | 'bootstrap'
  readonly backup: FoundBackup
  readonly type?: ReplicaType | undefined
}

/**
 * Looks whether the tablet's data may be replaced now and whether the backup could catch up afterwards; changes nothing.
 * @throws Refused, TabletBusy, CorruptBackup, ReplicationFailed: one clear reason each
 */
export async function preflightRestore(
  context: TabletContext,
  { signal }: Pick<Attempt, 'signal'>,
  request: Request,
): Promise<RestorePlan> {
  const { tablet, store } = context
  const { driver } = tablet
  await assertFree(context)
  const state = await driver.describe()
  const primary = await assertReplaceable(context, request.kind, state)
  assertType(context, request)
  await assertNobodyElseStartsIt(context)
  const warnings: Warning[] = request.backup.found ? [...request.backup.warnings] : []
  let dataBytes = 0
  if (request.backup.found) {
    const { backup } = request.backup
    const entry = await unlessHung(signal, store.description, () => readEntry(store, driver.shard, backup))
    if (entry.state !== 'complete')
      throw new TabletkeeperError('CorruptBackup', `${backup} of ${driver.shard} is not complete`)
    assertReachable(context, parsePosition(entry.manifest.Position), primary)
    if (!hasUndo(entry.manifest)) {
      const message = `${backup} has no undo tablespaces (Vitess made it): a transaction that was XA-prepared then counts as committed`
      warnings.push({ about: 'undo', message })
    }
    dataBytes = dataBytesOf(entry.manifest)
    await assertRoom(context, dataBytes)
  } else {
    assertReachable(context, GtidSet.EMPTY, primary)
  }
  const configured = driver.serviceType({ mysqld: 'down' })
  const type = request.type ?? (configured === 'PRIMARY' ? 'REPLICA' : configured)
  return { type, backup: request.backup.found ? request.backup.backup : null, dataBytes, warnings }
}

/**
 * The host decides what may be replaced (`agent.replaceData`), not whoever may start workflows.
 * @param state observed before: what the tablet has executed by then, the primary has too
 * @throws Refused
 */
export async function assertReplaceable(
  context: TabletContext,
  kind: Request['kind'],
  state: TabletState,
): Promise<PrimaryView> {
  const { driver } = context.tablet
  const { replaceData } = context.config.agent
  const primary = await driver.primary()
  if (primary.alias === driver.alias)
    throw refused(context, `is the primary of ${driver.shard}`, 'Restore a replica, then fail over to it.')
  if (state.mysqld === 'empty') return primary
  if ((await emptiness(await driver.layout())) === 'foreign') {
    throw refused(context, 'has files in its data directory that are no MySQL data', 'Move them away.')
  }
  if (kind === 'bootstrap')
    throw refused(context, 'has data: it is not bootstrapped', 'To replace them: tabletkeeper restore.')
  if (replaceData === 'never')
    throw refused(
      context,
      'may not be replaced: agent.replaceData is never on its host',
      'Change it there, and restart its agent, which reads its configuration once.',
    )
  if (state.mysqld === 'up') {
    await using connection = await driver.connect()
    const replicas = await connectedReplicas(connection)
    const named = state.replication?.channels.filter((channel) => channel !== '') ?? []
    const [first] = named
    if (first !== undefined) {
      throw refused(
        context,
        `replicates over a named channel, '${named.join("' and '")}': it could not be given another source if the restore failed`,
        withoutChannel(first),
      )
    }
    if (!state.server.readOnly)
      throw refused(context, 'takes writes (read_only=OFF)', 'Only tablets that replicate are restored.')
    if (replicas > 0) throw refused(context, `has ${replicas} replicas connected`, 'Point them elsewhere first.')
    await assertCommitsGoOn(context, connection)
  }
  if (replaceData === 'always') return primary
  if (state.mysqld === 'down') {
    throw refused(
      context,
      'has data, and its mysqld is down: nobody can tell whether the primary has all of its transactions',
      `Start mysqld; or move what is in ${(await driver.layout()).datadir} (not .tabletkeeper) aside and type tabletkeeper bootstrap ${driver.alias}; or ${REPLACE_ALL}.`,
    )
  }
  const lost = state.server.gtidExecuted.subtract(primary.server.gtidExecuted)
  if (!lost.isEmpty) {
    throw refused(
      context,
      `has transactions that the primary ${primary.alias} lacks: ${lost}`,
      `Save them; or, to lose them, ${REPLACE_ALL}.`,
    )
  }
  return primary
}

const REPLACE_ALL = 'set agent.replaceData: always on that host, restart its agent, and set it back afterwards'

/** A type that the configuration says is not overruled from afar. */
function assertType(context: TabletContext, request: Request): void {
  const { config } = context.tablet.driver
  if (request.type === undefined || config.type === undefined || config.type === request.type) return
  throw refused(
    context,
    `is configured as ${config.type}, not as ${request.type}`,
    'Change its type in tabletkeeper.yaml, or leave --type out.',
  )
}

function assertReachable(context: TabletContext, position: GtidSet, primary: PrimaryView): void {
  const { shard } = context.tablet.driver
  if (!position.contains(primary.server.gtidPurged)) {
    throw refused(
      context,
      `could never catch up: the primary ${primary.alias} of ${shard} has purged ${primary.server.gtidPurged.subtract(position)} from its binary logs`,
      position.isEmpty ? 'Back up another tablet of the shard first.' : 'Take a new backup, and restore that.',
    )
  }
  const errant = position.subtract(primary.server.gtidExecuted)
  if (!errant.isEmpty) {
    throw refused(
      context,
      `would bring transactions that the primary ${primary.alias} never had: ${errant}`,
      'Choose another backup.',
    )
  }
}

async function assertRoom(context: TabletContext, dataBytes: number): Promise<void> {
  const { datadir } = await context.tablet.driver.layout()
  const { suffices, free } = await roomFor(dataBytes, datadir)
  if (!suffices) {
    throw refused(
      context,
      `has no room for both copies: ${formatBytes(dataBytes)} are needed in ${datadir}, ${formatBytes(free)} are free`,
      'Make room.',
    )
  }
}

function hasUndo(manifest: Manifest): boolean {
  return manifest.FileEntries.some((entry) => /(^|\/)undo_|\.ibu$/.test(entry.Name))
}
