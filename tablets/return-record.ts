import { readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { giveToOwner } from '../mysql/data/private-folder.ts'

const recordSchema = z.object({
  token: z.string(),
  by: z.enum(['workflow', 'reconciler', 'person']),
  at: z.iso.datetime(),
  details: z.array(z.string()),
})

/** Who returned the tablet last, kept beside the lease for the run that comes back later and finds its lease gone. */
export type ReturnRecord = z.infer<typeof recordSchema>

const pathBeside = (leasePath: string): string => join(dirname(leasePath), 'last-return.json')

export async function recordReturn(leasePath: string, record: ReturnRecord): Promise<void> {
  const path = pathBeside(leasePath)
  await writeFile(path, `${JSON.stringify(record)}\n`, { mode: 0o600 })
  await giveToOwner(dirname(path), path)
}

/** The last return, or undefined when there was none or its record cannot be read: it is only told to people. */
export async function lastReturn(leasePath: string): Promise<ReturnRecord | undefined> {
  try {
    return recordSchema.parse(JSON.parse(await readFile(pathBeside(leasePath), 'utf8')))
  } catch {
    return undefined
  }
}
