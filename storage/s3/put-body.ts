import { Readable } from 'node:stream'

/**
 * Runs a put that has taken charge of `body`: a stream is destroyed when the signal is aborted, and when the put has ended, however.
 * @throws the signal's reason once it is aborted; else what `put` throws
 */
export async function inChargeOf<T>(
  body: Buffer | Readable,
  signal: AbortSignal | undefined,
  put: () => Promise<T>,
): Promise<T> {
  // Until it is read, a body that fails has nobody else who listens.
  if (body instanceof Readable) body.on('error', () => {})
  const abort = () => body instanceof Readable && body.destroy(asError(signal?.reason))
  signal?.addEventListener('abort', abort, { once: true })
  try {
    return await put()
  } catch (error) {
    throw signal?.aborted ? signal.reason : error
  } finally {
    signal?.removeEventListener('abort', abort)
    if (body instanceof Readable) body.destroy()
  }
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason))
}
