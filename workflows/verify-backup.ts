import { isSound, type VerifyInput, type VerifyResult } from '../model/verification.ts'
import { verifyDetail } from './details.ts'
import { damageFailure } from './failure.ts'
import { parseVerifyInput } from './input.ts'
import { onStorage } from './options.ts'
import { Run } from './run.ts'

/** Reads a backup from storage in full, and fails with what is damaged in it. It touches no tablet and changes nothing. */
export async function verifyBackup(given: VerifyInput): Promise<VerifyResult> {
  const { shard, concurrency, backup: named } = parseVerifyInput(given)
  const run = new Run('verifyBackup', { shard, tablet: null }, named ?? null)
  const storage = onStorage()
  try {
    // Asked once: what is published meanwhile must not change what a second attempt reads.
    const latest = () =>
      run.step(
        'findBackup',
        () => storage.findPublished({ shard }),
        (found) => found.backup,
      )
    const backup = named ?? (await latest()).backup
    run.backup = backup
    const verify = async (): Promise<VerifyResult> => {
      const found = { shard, backup, ...(await storage.verifyObjects({ shard, backup, concurrency })) }
      const result = { ...found, seconds: run.seconds }
      if (!isSound(result)) throw damageFailure(result)
      return result
    }
    return await run.step('verifyObjects', verify, verifyDetail)
  } catch (error) {
    throw run.failure(error)
  }
}
