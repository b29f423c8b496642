import { ServiceError } from '@temporalio/client'
import { describe, expect, it } from 'vitest'
import { explainTemporal, isTemporalOutage, TemporalUnavailable } from '../../client/connection.ts'
import { TabletkeeperError } from '../../model/errors.ts'

const target = { address: 'localhost:7233', namespace: 'default', origin: 'TEMPORAL_ADDRESS' } as const

/** As grpc-js throws it, inside of what Temporal's client makes of it. */
function failed(code: number, details: string): Error {
  const cause = Object.assign(new Error(`${code}: ${details}`), { code, details, metadata: {} })
  return new ServiceError('Failed to describe workflow', { cause })
}

describe('a call to Temporal that failed', () => {
  it.each([
    [14, 'Connection dropped'],
    [4, 'Deadline exceeded after 3.000s'],
    [1, 'Call cancelled'],
    [1, 'context canceled'],
    [8, 'namespace rate limit exceeded'],
    [8, 'System overloaded.'],
    [10, 'the transaction was aborted, retry'],
    [13, 'Received RST_STREAM with code 0 (Call ended without gRPC status)'],
    [13, 'Received RST_STREAM with code 2 (Internal server error)'],
    [13, 'Received RST_STREAM with code 2 triggered by internal client error: read EPIPE'],
  ])('with %i, %s, is an outage', (code, details) => {
    const error = failed(code, details)
    expect(isTemporalOutage(error)).toBe(true)
    expect(explainTemporal(error, target)).toBeInstanceOf(TemporalUnavailable)
  })

  it.each([
    [1, 'Cancelled on client'],
    [8, 'Received message larger than max (6291456 vs 4194304)'],
    [8, 'grpc: trying to send message larger than max (6291456 vs. 4194304)'],
    [8, 'Attempted to send message with a size larger than 4194304'],
    [13, 'Received RST_STREAM with code 2 triggered by internal client error: SSL alert number 42'],
    [13, 'Response message parsing error: index out of range'],
    [3, 'invalid query'],
    [5, 'workflow not found'],
    [7, 'Request unauthorized.'],
  ])('with %i, %s, is none', (code, details) => {
    const error = failed(code, details)
    expect(isTemporalOutage(error)).toBe(false)
    expect(explainTemporal(error, target)).not.toBeInstanceOf(TemporalUnavailable)
  })

  it('because the server is too busy says so, and does not ask for a server to be started', () => {
    const busy = new TemporalUnavailable(target, failed(8, 'namespace rate limit exceeded'))
    expect(busy.message).toBe(
      'Temporal at localhost:7233 (from TEMPORAL_ADDRESS) is too busy: namespace rate limit exceeded',
    )
    expect(busy.hint).toMatch(/^No run is lost: .* Try again in a while/)
    expect(busy.hint).not.toContain('Start Temporal')
  })

  it('because nobody answers a question is none, as it was explained before', () => {
    const error = new TabletkeeperError('NoAgent', 'no control answers', { cause: failed(4, 'query timed out') })
    expect(isTemporalOutage(error)).toBe(false)
    expect(explainTemporal(error, target)).toBe(error)
  })
})
