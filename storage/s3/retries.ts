import type { S3ClientConfig } from '@aws-sdk/client-s3'
import { isConflict, isCut, isDamaged, isFull } from './errors.ts'

type Strategy = Exclude<NonNullable<S3ClientConfig['retryStrategy']>, { readonly retry: unknown }>
type Token = Awaited<ReturnType<Strategy['acquireInitialRetryToken']>>
type Failure = Parameters<Strategy['refreshRetryTokenForRetry']>[1]

/** Times that a request is sent. */
export const ATTEMPTS = 7
/** Milliseconds before the second attempt; each pause after it is twice as long. */
const FIRST_PAUSE = 200
/** For stores that say that they have too much to do. */
const FIRST_PAUSE_THROTTLED = 1_000
const LONGEST_PAUSE = 10_000

/**
 * Sends again what failed on its way or in the store, after pauses that add up to some ten seconds, or thirty where the store asks for
 * less. The SDK's own pauses end after one second, and less when many requests fail: too soon for a gateway that restarts. What is still
 * not answered then is left to Temporal.
 */
export class S3Retries implements Strategy {
  readonly mode = 'standard'

  async acquireInitialRetryToken(): Promise<Token> {
    return tokenOf(0, 0)
  }

  /** @throws when enough was tried; the SDK throws what the request failed with then */
  async refreshRetryTokenForRetry(token: Token, { error, errorType, retryAfterHint }: Failure): Promise<Token> {
    const count = token.getRetryCount() + 1
    const isOfTheMoment = isDamaged(error) || isConflict(error) || isCut(error)
    const isFinal = isFull(error) || (errorType === 'CLIENT_ERROR' && !isOfTheMoment)
    if (isFinal || count >= ATTEMPTS) throw new Error('tried often enough')
    const first = errorType === 'THROTTLING' ? FIRST_PAUSE_THROTTLED : FIRST_PAUSE
    const asked = retryAfterHint === undefined ? 0 : retryAfterHint.getTime() - Date.now()
    const pause = Math.max(asked, first * 2 ** (count - 1) * (0.5 + Math.random() / 2))
    return tokenOf(count, Math.min(pause, LONGEST_PAUSE))
  }

  recordSuccess(): void {}
}

function tokenOf(count: number, delay: number): Token {
  return { getRetryCount: () => count, getRetryDelay: () => delay }
}
