import { binding, type Libc } from './libc.ts'

const M_TRIM_THRESHOLD = -1
const M_MMAP_THRESHOLD = -3
/** glibc refuses more. */
const LARGEST_MMAP_THRESHOLD = 32 * 1024 * 1024

const calls = binding(({ library }) => ({ mallopt: bindMallopt(library) }))

/**
 * Makes the allocator give back memory beyond `bytes` that is free at the end of one of its heaps (mallopt(3), M_TRIM_THRESHOLD). On its
 * own glibc lets such rests grow to 64 MiB for each heap, and each thread may have one. Other allocators do not know it: nothing happens.
 * @throws InvalidConfig on other systems than Linux
 */
export function trimHeapsEarly(bytes: number): void {
  const { mallopt } = calls()
  mallopt?.(M_TRIM_THRESHOLD, bytes)
  // To set the one stops glibc from adapting the other: large blocks would be mapped, and their pages faulted in, each time.
  mallopt?.(M_MMAP_THRESHOLD, LARGEST_MMAP_THRESHOLD)
}

/** Undefined where the C library has none. */
function bindMallopt(library: Libc['library']): ((parameter: number, value: number) => void) | undefined {
  try {
    return library.func('mallopt', 'int', ['int', 'int'])
  } catch {
    return undefined
  }
}
