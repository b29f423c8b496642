/**
 * What `answer` gives, if it comes in time. What it waits for goes on: a call to a disk that hangs cannot be taken back, and a deadline of a
 * call to Temporal would hold for each of the SDK's retries.
 * @param limit milliseconds
 * @param late completes "… within 2 s", the message of the error when it does not come
 */
export async function withinLimit<T>(answer: Promise<T>, limit: number, late: string): Promise<T> {
  const expired = Promise.withResolvers<never>()
  const timer = setTimeout(() => expired.reject(new Error(`${late} within ${limit / 1000} s`)), limit)
  try {
    return await Promise.race([answer, expired.promise])
  } finally {
    clearTimeout(timer)
  }
}
