import { TabletkeeperError } from '../../model/errors.ts'
import { assertKey } from '../object-key.ts'

/**
 * An upload stores objects of one directory.
 * @param directory ends in `/`
 * @throws InvalidInput when no object there can have that name
 */
export function assertNameIn(directory: string, name: string): void {
  assertKey(directory + name)
  if (name.includes('/')) throw new TabletkeeperError('InvalidInput', `${name} is not a name in one directory`)
}

/**
 * What an upload has written and cannot be made visible, since it is gone. Nothing stores again what is done: another attempt would find
 * it missing as well.
 */
export function writtenIsLost(
  store: string,
  key: string,
  options: { readonly hint?: string; readonly cause?: unknown } = {},
): TabletkeeperError {
  const hint = 'Somebody removed it, or it was never finished: look, then start the run again.'
  const message = `${store} has lost what was written for ${key}`
  return new TabletkeeperError('StorageUnavailable', message, { hint, ...options, retryable: false })
}
