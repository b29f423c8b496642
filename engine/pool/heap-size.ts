import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { trimHeapsEarly } from '../../mysql/system/allocator.ts'

/** The names of fewer files take less memory than the copying does. */
const MANY = 20_000

/** Bytes that are given back to the system at once: as many as zstd needs for a frame, which is asked for again and again. */
const LEAST_TRIMMED = 8 * 1024 * 1024

let isKeptSmall = false
let exceptions = 0

/**
 * Keeps the memory of this process small. V8 collects what is dead rather than let its heap grow (with 100 000 files a backup takes 210 MiB
 * then instead of 315, and a restore 250 instead of 390), and the C library gives back what its threads have freed. V8 asks for the flags
 * whenever it decides on its heap (`Heap::ShouldOptimizeForMemoryUsage`), so they may be set at any time; but a heap that has grown
 * shrinks late, so set them first.
 */
export function keepHeapSmall(): void {
  isKeptSmall = true
  setFlagsFromString('--semi-space-growth-factor=1')
  trimHeapsEarly(LEAST_TRIMMED)
  setFlagsFromString('--optimize-for-size')
}

/**
 * Makes room for the memory of frames: what starting the process has left behind is collected (40 MiB of an agent's), in some 50 ms. Then
 * V8 may take its time, until disposed of, while so few files are copied that the heap stays small anyway: frames would make it collect
 * again and again, which costs half a second of processor time for each gigabyte.
 */
export function heapForCopyOf(files: number): Disposable {
  if (isKeptSmall) collect()
  return files < MANY ? heapInAHurry() : { [Symbol.dispose]: () => {} }
}

/** Lets V8 take its time, until disposed of, while a tablet is down and waits for this process. */
export function heapInAHurry(): Disposable {
  if (!isKeptSmall) return { [Symbol.dispose]: () => {} }
  exceptions += 1
  setFlagsFromString('--no-optimize-for-size')
  return {
    [Symbol.dispose]: () => {
      exceptions -= 1
      if (exceptions === 0) setFlagsFromString('--optimize-for-size')
    },
  }
}

function collect(): void {
  setFlagsFromString('--expose-gc')
  const gc: unknown = runInNewContext('gc')
  setFlagsFromString('--no-expose-gc')
  // The flavor that makes V8 shrink its spaces.
  if (typeof gc === 'function') gc({ type: 'major', execution: 'sync', flavor: 'last-resort' })
}
