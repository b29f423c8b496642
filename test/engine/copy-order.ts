import { z } from 'zod'

const common = z.object({
  root: z.string(),
  ledger: z.string(),
  concurrency: z.int(),
  /** When its ledger has so many lines. */
  cancelAfter: z.int().optional(),
})

/** What `copy-process.ts` is told. */
export const copyOrder = z.discriminatedUnion('kind', [
  common.extend({
    kind: z.literal('backup'),
    source: z.string(),
    /** A file that gets a line for each write to the store. */
    writes: z.string().optional(),
  }),
  common.extend({ kind: z.literal('restore'), manifest: z.string(), staging: z.string() }),
])
export type CopyOrder = z.infer<typeof copyOrder>

/** What it answers, as one line of JSON. */
export const copyOutcome = z.object({
  failure: z.string().nullable(),
  seconds: z.number(),
  /** From a cancel to the end, by the clock and by what the process's threads did meanwhile. */
  settled: z.object({ milliseconds: z.number(), processorMilliseconds: z.number() }).optional(),
  /** How late the event loop was, by the clock. */
  delayP99Milliseconds: z.number(),
  /** How long the thread of the event loop was at work without looking at it, in its processor time. */
  turnP99Milliseconds: z.number(),
  /** The most memory that the process had at any time. */
  peakMebibytes: z.number(),
})
export type CopyOutcome = z.infer<typeof copyOutcome>
