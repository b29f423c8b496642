/** Whether `error` is one of the operating system's errors `codes`, such as `ENOENT`. */
export function isCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code))
}

/** Whether `error`, or what caused it, says that a disk has no room, or its user none left of a quota. */
export function isDiskFull(error: unknown): boolean {
  return isCode(error, 'ENOSPC', 'EDQUOT') || (error instanceof Error && isDiskFull(error.cause))
}

/** What `promise` gives, or undefined when the file or directory it is about is not there. */
export async function orMissing<T>(promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise
  } catch (error) {
    if (isCode(error, 'ENOENT')) return undefined
    throw error
  }
}
