import { setTimeout as pause } from 'node:timers/promises'
import { SAMPLE_DATABASE } from './sample-data.ts'
import type { SampleTablet } from './sample-tablet.ts'

/** Small transactions, one after the other, until it is stopped. */
export interface WriteLoad {
  /** Commits the last transaction and ends. Returns how many were committed; throws what stopped it before. */
  stop(): Promise<number>
}

const BETWEEN = 5

/** Starts writing to the sample data of `primary`: inserts, updates and deletes. */
export async function startWriteLoad(primary: Pick<SampleTablet, 'connect'>): Promise<WriteLoad> {
  const connection = await primary.connect()
  let stopped = false
  const written = write().finally(() => connection.destroy())
  // Whoever stops it is told; until then nobody waits for it.
  written.catch(() => {})

  async function write(): Promise<number> {
    await connection.query(`USE ${SAMPLE_DATABASE}`)
    let transactions = 0
    while (!stopped) {
      await connection.beginTransaction()
      await connection.query(
        'INSERT INTO orders (placed, customer, total, reference) VALUES (CURRENT_DATE, 1, RAND() * 100, RANDOM_BYTES(64))',
      )
      await connection.query('UPDATE customer SET visits = visits + 1 WHERE id = ?', [1 + (transactions % 100)])
      if (transactions % 10 === 9) await connection.query('DELETE FROM event_archive ORDER BY id LIMIT 1')
      await connection.commit()
      transactions += 1
      await pause(BETWEEN)
    }
    return transactions
  }

  return {
    stop: () => {
      stopped = true
      return written
    },
  }
}
