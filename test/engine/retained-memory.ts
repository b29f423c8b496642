import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')
const collectGarbage: () => void = runInNewContext('gc')

/** Bytes that this thread cannot give back: objects, and what they hold beside the heap. */
export function retainedBytes(): number {
  // Memory of buffers is given back by the collection after the one that found them dead.
  for (let round = 0; round < 2; round++) collectGarbage()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}
