import { Readable } from 'node:stream'
import { setTimeout } from 'node:timers/promises'
import { FileStore } from '../../storage/file/file.ts'

// A process for killed-writer.test.ts: stores an object that never ends.
const [root = '', key = ''] = process.argv.slice(2)
const body = Readable.from(
  (async function* () {
    for (;;) {
      yield Buffer.alloc(10_000)
      await setTimeout(5)
    }
  })(),
)
await new FileStore(root).put(key, body)
