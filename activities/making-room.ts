import { localFileError } from '../engine/local-file-error.ts'
import { isError } from '../model/errors.ts'
import type { ServerLayout } from '../mysql/settings/my-cnf.ts'
import { isDiskFull } from '../mysql/system/system-error.ts'
import type { StepContext } from '../tablets/leased-tablet.ts'
import { discardStaged } from '../tablets/staging.ts'

/**
 * Does what stages data for a tablet. They go at once when they fill the disk: nobody tries that again, and the way back has to write the
 * lease there.
 * @throws StorageFull when there is no room, in whatever words that was said; what `stage` throws otherwise
 */
export async function makingRoom<T>(
  { signal, lease }: Pick<StepContext, 'signal' | 'lease'>,
  layout: ServerLayout,
  stage: () => Promise<T>,
): Promise<T> {
  try {
    return await stage()
  } catch (error) {
    if (!isError(error, 'StorageFull') && !isDiskFull(error)) throw error
    // A step that was given up may have hung: another attempt stages there by now.
    if (!signal.aborted) await discardStaged(layout, lease.token)
    throw isError(error) ? error : localFileError(error, 'write', layout.datadir)
  }
}
