import { syncFileSystem as sync } from '../mysql/system-calls.ts'

export * from '../mysql/system-calls.ts'

/** How long the engine has waited for its data to be durable. */
export const waited = { seconds: 0 }

/** Stands in for the one of `mysql/system-calls.ts` in a process that measures: does the same, and counts the time. */
export async function syncFileSystem(path: string): Promise<void> {
  const begin = performance.now()
  try {
    await sync(path)
  } finally {
    waited.seconds += (performance.now() - begin) / 1000
  }
}
