import { z } from 'zod'

/** What one run of one contender took. */
export const outcomeSchema = z.object({
  /** Wall time of the copying, without what makes it durable. */
  seconds: z.number().positive(),
  /** What it took to make everything durable after that; null where nobody does. */
  syncSeconds: z.number().nonnegative().nullable(),
  /** User and system, of all processes and threads. */
  cpuSeconds: z.number().nonnegative(),
  /** The most memory of the process, or of the largest one where there are several. */
  maxRssBytes: z.number().positive(),
  /** Plain bytes of the files. */
  dataBytes: z.number().nonnegative(),
  /** Bytes in storage. */
  storedBytes: z.number().nonnegative().nullable(),
  /** Sent to the store, where it is asked by requests. */
  requests: z.int().nonnegative().optional(),
})

export type Outcome = z.infer<typeof outcomeSchema>
