import { setTimeout as delay } from 'node:timers/promises'
import { z } from 'zod'
import type { MysqlConnection } from '../admin/admin.ts'
import { setGlobal } from '../settings/global-variables.ts'

/** 1 is a quick clean stop; 0 also purges and merges all, which a start by a newer version needs. `applySettings` undoes it. */
export async function setFastShutdown(connection: MysqlConnection, value: 0 | 1): Promise<void> {
  await setGlobal(connection, 'innodb_fast_shutdown', String(value))
}

const LIMIT = 60_000
const POLL = 200
/** Fewer are written within the stop itself without being noticed. */
const FEW_PAGES = 200

/**
 * Has dirty pages written while mysqld still serves, so that the stop that follows is short. `applySettings` undoes it, so settings are
 * to be captured before. Resolves when few are left, or after a minute: the stop writes the rest.
 * @returns how many pages are dirty still
 */
export async function reduceDirtyPages(connection: MysqlConnection, signal: AbortSignal): Promise<number> {
  const deadline = performance.now() + LIMIT
  await setGlobal(connection, 'innodb_max_dirty_pages_pct', '0')
  for (;;) {
    signal.throwIfAborted()
    const { Value: dirty } = await connection.one(
      "SHOW GLOBAL STATUS LIKE 'Innodb_buffer_pool_pages_dirty'",
      z.object({ Value: z.coerce.number() }),
    )
    if (dirty <= FEW_PAGES || performance.now() >= deadline) return dirty
    await delay(POLL, undefined, { signal })
  }
}
