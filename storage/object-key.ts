import { TabletkeeperError } from '../model/errors.ts'

/** No dot in front: `.` and `..` leave the directory, other such names are the store's own. No control characters, no backslash. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it refuses
const PART = /^[^./\\\x00-\x1f\x7f][^/\\\x00-\x1f\x7f]*$/

/** Room for what a store puts around a name: file systems take 255 bytes. */
const LONGEST_PART = 200
/** The limit of S3, which is the lowest. */
const LONGEST_KEY = 1024

/**
 * Refuses what could lead out of the root, or what some store could not keep.
 * @throws InvalidInput
 */
export function assertKey(key: string): void {
  assertParts(key, key.split('/'))
}

/**
 * As `assertKey`, for the beginning of a key: empty, or cut anywhere.
 * @throws InvalidInput
 */
export function assertPrefix(prefix: string): void {
  const parts = prefix.split('/')
  assertParts(prefix, parts.at(-1) === '' ? parts.slice(0, -1) : parts)
}

/**
 * Refuses a directory that no object could be uploaded to, and an id that is none of the store's.
 * @throws InvalidInput
 */
export function assertUpload(directory: string, id: string, isId: (text: string) => boolean): void {
  assertKey(`${directory}0`)
  if (directory.endsWith('/') && isId(id)) return
  throw new TabletkeeperError(
    'InvalidInput',
    `no upload to ${JSON.stringify(directory)} has the id ${JSON.stringify(id)}`,
  )
}

function assertParts(key: string, parts: readonly string[]): void {
  const sound = parts.every((part) => PART.test(part) && Buffer.byteLength(part) <= LONGEST_PART)
  if (!sound || Buffer.byteLength(key) > LONGEST_KEY) {
    throw new TabletkeeperError(
      'InvalidInput',
      `${JSON.stringify(key.slice(0, LONGEST_KEY))} is not a name of an object in storage`,
      {
        hint: `A name is parts joined by "/", none empty, longer than ${LONGEST_PART} bytes or starting with a dot; at most ${LONGEST_KEY} bytes in all.`,
      },
    )
  }
}
