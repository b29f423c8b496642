import type { Readable } from 'node:stream'

/** Resolves when a stream that has ended or was destroyed has let go of what it held. */
export async function closed(stream: Readable): Promise<void> {
  if (!stream.closed) await new Promise((resolve) => stream.once('close', resolve))
}
