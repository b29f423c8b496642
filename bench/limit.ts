import { z } from 'zod'
import { runOnce } from './child.ts'

/** What one thread does that writes nothing. */
const limitSchema = z.object({
  /** The whole work of a frame; and the part of the time that zstd alone took. */
  single: z.object({
    bytes: z.number(),
    seconds: z.number(),
    compressSeconds: z.number(),
    cpuSeconds: z.number(),
    maxRssBytes: z.number(),
  }),
  /** The same frames with the page check and without: seconds of CPU. */
  paired: z.object({ bytes: z.number(), withCheck: z.number(), withoutCheck: z.number() }),
})

export type Limit = z.infer<typeof limitSchema>

/** Measures the limit over the files of a data set. */
export async function measureLimit(
  files: readonly { readonly name: string; readonly path: string }[],
  level: number,
): Promise<Limit> {
  const job = { files: files.map(({ name, path }) => ({ name, path })), level }
  return await runOnce('limit-once', job, limitSchema)
}
