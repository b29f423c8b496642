import { TabletkeeperError } from '../../model/errors.ts'
import type { Milliseconds } from '../../model/units.ts'
import type { MysqlConnection } from '../../mysql/admin/admin.ts'
import { proveCleanShutdown } from '../../mysql/process/clean-shutdown.ts'
import type { Mysqld } from '../../mysql/process/process.ts'
import { setFastShutdown } from '../../mysql/process/quick-stop.ts'
import type { ServerLayout } from '../../mysql/settings/my-cnf.ts'
import { guardRestart, guardStart } from '../../mysql/settings/settings.ts'

const ATTEMPTS = 3

/** How mysqld is started: it serves nobody, changes nothing and replicates nothing until it is told to. */
export const QUIET = ['--skip-replica-start', '--super-read-only=ON']

/** Crash recovery of a large redo log takes minutes. */
export const START_LIMIT = (30 * 60_000) as Milliseconds
/** A stop waits for background rollback and for whatever the last transaction left; a kill would lose it. */
export const STOP_LIMIT = (60 * 60_000) as Milliseconds

/**
 * Stops mysqld until the files themselves prove that the stop was clean; a stop that was not is repeated after a start.
 * @returns the log sequence number at which the data stand
 * @throws MysqldFailed when three stops in a row were not clean
 */
export async function stopCleanly(
  mysqld: Mysqld,
  layout: ServerLayout,
  connect: () => Promise<MysqlConnection>,
  signal: AbortSignal,
): Promise<{ readonly lsn: bigint }> {
  let reason = ''
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    if (await mysqld.isRunning()) {
      await using connection = await connect()
      await guardRestart(connection)
      await setFastShutdown(connection, 1)
      await mysqld.stop(connection, { signal, timeout: STOP_LIMIT })
    } else {
      // It ended by itself: the next start, here or after the copy, is to be as quiet as one after our own stop.
      await guardStart(layout.datadir)
    }
    const proof = await proveCleanShutdown(layout)
    if (proof.clean) return { lsn: proof.lsn }
    reason = proof.reason
    if (attempt < ATTEMPTS) await mysqld.start({ extraArguments: QUIET, signal, timeout: START_LIMIT })
  }
  throw new TabletkeeperError(
    'MysqldFailed',
    `mysqld on ${layout.datadir} did not stop cleanly ${ATTEMPTS} times: ${reason}`,
    {
      hint: `Nothing was copied. Look at ${layout.errorLog}.`,
    },
  )
}
