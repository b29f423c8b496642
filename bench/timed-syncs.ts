import { syncFileSystem as sync } from '../mysql/system/file-system-sync.ts'

/** How long the last wait for data to be durable took, the one at the end: those before it go on beside the copying. */
export const waited = { seconds: 0 }

/** Stands in for the one of `mysql/system/file-system-sync.ts` in a process that measures: does the same, and takes the time. */
export async function syncFileSystem(path: string): Promise<void> {
  const begin = performance.now()
  try {
    await sync(path)
  } finally {
    waited.seconds = (performance.now() - begin) / 1000
  }
}
