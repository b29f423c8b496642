import { z } from 'zod'
import { type Bytes, type Milliseconds, parseDuration, parseSize } from './units.ts'

/** Facts about an issue for those who put it into words. */
export interface IssueParameters {
  /** The value is text: a number must be quoted. */
  readonly isText?: true
  /** The value is never shown: somebody may have put the secret itself there. */
  readonly isSecret?: true
}

/**
 * A value that is read by a function, undefined meaning that it is wrong.
 * @param wanted reads on after "is not" or "is missing:", and says what to write
 */
export function leaf<T>(wanted: string, read: (value: unknown) => T | undefined, params: IssueParameters = {}) {
  return z.unknown().transform((value, context): T => {
    const result = read(value)
    if (result !== undefined) return result
    context.addIssue({ code: 'custom', message: wanted, params: { ...params } })
    return z.NEVER
  })
}

export function text(wanted: string, pattern: RegExp, params: IssueParameters = {}) {
  return leaf(wanted, (value) => (typeof value === 'string' && pattern.test(value) ? value : undefined), params)
}

export function integer(wanted: string, least: number, most: number) {
  return leaf(wanted, (value) => (isInteger(value, least, most) ? value : undefined))
}

export function isInteger(value: unknown, least: number, most: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most
}

export function choice<const T extends string>(...choices: readonly T[]) {
  return leaf(`one of ${choices.join(', ')}`, (value) => choices.find((one) => one === value))
}

/** A map with just these keys. The message of its unrecognized_keys is the list of them. */
export function section<T extends z.core.$ZodLooseShape>(shape: T) {
  return z.strictObject(shape, {
    error: ({ code }) => (code === 'unrecognized_keys' ? Object.keys(shape).join(', ') : 'a map of keys'),
  })
}

/** Node's timers fire at once when they are set for 2^31 ms or more. */
const LONGEST = 24 * 86_400_000

export const duration = leaf('a duration; write 30s, 15m, 2d', readDuration).refine(
  (milliseconds) => milliseconds <= LONGEST,
  { error: 'a duration of at most 24 days; write 24d or less' },
)

function readDuration(value: unknown): Milliseconds | undefined {
  try {
    return typeof value === 'string' ? parseDuration(value) : undefined
  } catch {
    return undefined
  }
}

export const absolutePath = (example: string) => text(`an absolute path; write ${example}`, /^\/[^\0]*$/)

export const switchLeaf = leaf('a switch; write true or false', (value) =>
  typeof value === 'boolean' ? value : undefined,
)

/** A size of memory or of an object, between two others. */
export function size(wanted: string, least: Bytes, most: Bytes) {
  return leaf(wanted, (value) => {
    const bytes = readSize(value)
    return bytes !== undefined && bytes >= least && bytes <= most ? bytes : undefined
  })
}

export function readSize(value: unknown): Bytes | undefined {
  try {
    return typeof value === 'string' ? parseSize(value) : undefined
  } catch {
    return undefined
  }
}
