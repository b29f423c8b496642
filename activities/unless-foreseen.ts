import { isError } from '../model/errors.ts'

/** What a look brings; null when it fails as looks may: a server is down, or is not one. */
export async function unlessForeseen<T>(look: () => Promise<T>): Promise<T | null> {
  try {
    return await look()
  } catch (error) {
    if (isError(error)) return null
    throw error
  }
}
