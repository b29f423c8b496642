import { isError, type TabletkeeperError } from '../model/errors.ts'

/** Whether replication has met what no waiting mends: a person has to repair it, or a restore replaces the data. */
export function isBroken(error: unknown): error is TabletkeeperError {
  return isError(error, 'ReplicationFailed') && !error.retryable
}
