import { readFile } from 'node:fs/promises'
import { z } from 'zod'

/** What stands in a ledger of a backup or of a restore, whole lines alone. */
export interface LedgerLines {
  readonly lines: number
  /** Of a backup. */
  readonly upload: string | undefined
  readonly frames: number
  readonly files: ReadonlySet<number>
  /** Files that are recorded more than once, and frames of a restore. */
  readonly repeated: number
  readonly isFinished: boolean
}

const headerSchema = z.object({ upload: z.string().optional() })
const lineSchema = z.tuple([z.enum(['frame', 'file', 'restart', 'end'])], z.unknown())
/** Of a restore's ledger, in which frames have a number. */
const numberedFrame = z.tuple([z.literal('frame'), z.int(), z.int(), z.int(), z.string()])

export async function readLedger(path: string): Promise<LedgerLines> {
  const text = await readFile(path, 'utf8').catch(() => '')
  const [header, ...lines] = text
    .split('\n')
    .slice(0, -1)
    .map((line): unknown => JSON.parse(line))
  const files = new Set<number>()
  const numbered = new Set<string>()
  let [frames, repeated, isFinished] = [0, 0, false]
  for (const line of lines) {
    const [kind, index] = lineSchema.parse(line)
    if (kind === 'frame') {
      frames += 1
      const { data } = numberedFrame.safeParse(line)
      if (data !== undefined && numbered.size === numbered.add(`${data[1]}/${data[2]}`).size) repeated += 1
    } else if (kind === 'file') {
      if (files.has(Number(index))) repeated += 1
      files.add(Number(index))
    } else if (kind === 'end') {
      isFinished = true
    }
  }
  const { upload } = headerSchema.parse(header ?? {})
  return { lines: lines.length, upload, frames, files, repeated, isFinished }
}
