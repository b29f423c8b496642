import { FRAME_SIZE } from '../frames/frame.ts'

/** One task is to last some milliseconds. */
const MOST_ITEMS = 64

/** Cuts small files into batches for one thread each, none of which takes more memory than a frame. */
export function* batchesOf<Item>(items: Iterable<Item>, sizeOf: (item: Item) => number): Generator<readonly Item[]> {
  let batch: Item[] = []
  let bytes = 0
  for (const item of items) {
    const size = sizeOf(item)
    if (batch.length === MOST_ITEMS || (batch.length > 0 && bytes + size > FRAME_SIZE)) {
      yield batch
      batch = []
      bytes = 0
    }
    batch.push(item)
    bytes += size
  }
  if (batch.length > 0) yield batch
}
