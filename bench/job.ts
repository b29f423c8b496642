import { json } from 'node:stream/consumers'
import type { z } from 'zod'

/** The job that the parent of this process gives on stdin. */
export async function readJob<Schema extends z.ZodType>(schema: Schema): Promise<z.output<Schema>> {
  return schema.parse(await json(process.stdin))
}

/** Tells the parent the result. */
export function answer(result: unknown): void {
  process.stdout.write(`${JSON.stringify(result)}\n`)
}
