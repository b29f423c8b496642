import { appendFile, readFile } from 'node:fs/promises'
import { z } from 'zod'
import { isCode } from '../../mysql/system/system-error.ts'
import type { Case } from './cases.ts'
import type { Result } from './result.ts'

const base = { id: z.string(), hit: z.string(), seconds: z.number() }
const schema = z.discriminatedUnion('survived', [
  z.object({
    ...base,
    survived: z.literal(true),
    run: z.string(),
    recovery: z.object({ seconds: z.number(), mysqldSeconds: z.number() }),
  }),
  z.object({ ...base, survived: z.literal(false), because: z.string() }),
])

/** What has come of cases so far. */
export interface Known {
  /** The last one of each case. */
  readonly results: readonly Result[]
  /** Ids of those that had failed before they survived. */
  readonly failedBefore: readonly string[]
}

/**
 * Reads what earlier runs wrote, a line of JSON for each case; nothing where there is no file.
 * @throws Error that names the line which is none of ours, or a case that is unknown
 */
export async function readResults(path: string, cases: readonly Case[]): Promise<Known> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if (isCode(error, 'ENOENT')) return ''
    throw error
  })
  const byId = new Map(cases.map((one) => [one.id, one]))
  const results = new Map<string, Result>()
  const failed = new Set<string>()
  for (const line of text.split('\n').filter((each) => each !== '')) {
    const { id, ...rest } = schema.parse(JSON.parse(line))
    const one = byId.get(id)
    if (one === undefined) throw new Error(`${path} has a case ${id}, which is none`)
    results.set(id, { case: one, ...rest })
    if (!rest.survived) failed.add(id)
  }
  const all = [...results.values()]
  return { results: all, failedBefore: all.filter((one) => one.survived && failed.has(one.case.id)).map(idOf) }
}

/** Adds what came of one case. */
export async function appendResult(path: string, { case: { id }, ...rest }: Result): Promise<void> {
  await appendFile(path, `${JSON.stringify({ id, ...rest })}\n`)
}

function idOf(result: Result): string {
  return result.case.id
}
