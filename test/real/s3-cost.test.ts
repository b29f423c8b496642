import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { s3Config, useVersitygw } from './s3-server.ts'

const s3 = useVersitygw()

/**
 * Of what the SDK takes as it is, with parts of 8 MiB. Of our own 0.7 CPU s/GB for parts, 0.3 are the kernel's, 0.1 the copy, and most of
 * the rest is what the SDK does for each request (3 ms), of which we need fewer. Sending frames without the copy was tried: each would
 * have to stay where it is until no attempt to send it can be under way any more.
 */
const MOST = { put: 0.5, frames: 0.35, parts: 0.5 }
/** Enough for parts of the larger size to be most of it. */
const MEBIBYTES = 256
const ROUNDS = 5

const sideSchema = z.object({ sdk: z.array(z.number()).min(1), ours: z.array(z.number()).min(1) })
const spentSchema = z.object({ put: sideSchema, frames: sideSchema, parts: sideSchema })

test('storing whole objects, and large ones in parts, takes half of the CPU time that the SDK takes as it is', async () => {
  const config = s3Config(s3().server, 'root: cost')
  const program = join(import.meta.dirname, 's3-put-cost.ts')
  const job = [program, JSON.stringify(config), String(MEBIBYTES), String(ROUNDS)]
  const { stdout } = await promisify(execFile)(process.execPath, job)
  const spent = spentSchema.parse(JSON.parse(stdout))
  const shares = (['put', 'frames', 'parts'] as const).map((what) => {
    // Whatever else runs here makes it more.
    const [sdk, ours] = [Math.min(...spent[what].sdk), Math.min(...spent[what].ours)]
    const told = `${what}: ${ours.toFixed(2)} CPU s/GB, the SDK ${sdk.toFixed(2)}: ${(ours / sdk).toFixed(2)}`
    process.stderr.write(`${told}\n`)
    return { told, share: ours / sdk, most: MOST[what] }
  })
  for (const { told, share, most } of shares) expect(share, told).toBeLessThanOrEqual(most)
})
