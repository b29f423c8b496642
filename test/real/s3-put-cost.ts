import { randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import type { S3Config } from '../../model/config-storage.ts'
import { S3Store } from '../../storage/s3/s3.ts'

// A process for s3-cost.test.ts: stores so many mebibytes in so many rounds, by the SDK alone as it is and by us, in turns; prints the CPU
// seconds for each GB of each round. Of whole objects; of frames that become parts; of the same with parts that the SDK finds ready. We get
// the CRC-32 of all bytes with them, as from the engine, which has them for the MANIFEST.
const [text = '', size = '', rounds = ''] = process.argv.slice(2)
const config: S3Config = JSON.parse(text)
const OBJECT = 8 * 1024 * 1024
/** What a frame of a table takes as a rule. */
const FRAME = 2_400_000
const AT_ONCE = 4

const objects = Math.max(1, Math.floor((Number(size) * 1024 * 1024) / OBJECT))
const bytes = randomBytes(OBJECT)
const frames = Array.from({ length: 7 }, () => randomBytes(FRAME))
const crcs = new Map([bytes, ...frames].map((one) => [one, crc32(one)]))
const { endpoint = '', bucket = '' } = config
const sdk = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true })
const store = new S3Store(config)

const ways = {
  put: { sdk: putBySdk, ours: objectsByUs },
  frames: { sdk: () => partsBySdk(collected), ours: framesByUs },
  parts: { sdk: () => partsBySdk(() => bytes), ours: framesByUs },
}

const spent: Record<keyof typeof ways, Record<'sdk' | 'ours', number[]>> = {
  put: { sdk: [], ours: [] },
  frames: { sdk: [], ours: [] },
  parts: { sdk: [], ours: [] },
}

for (let round = 0; round <= Number(rounds); round++) {
  for (const way of ['put', 'frames', 'parts'] as const) {
    // Who is first changes, so that neither always meets what the other has left.
    for (const who of round % 2 === 0 ? (['sdk', 'ours'] as const) : (['ours', 'sdk'] as const)) {
      const before = process.cpuUsage()
      await ways[way][who]()
      const { user, system } = process.cpuUsage(before)
      // The first round is for the compiler.
      if (round > 0) spent[way][who].push((user + system) / 1e6 / ((objects * OBJECT) / 1e9))
    }
  }
}
sdk.destroy()
store.close()
process.stdout.write(JSON.stringify(spent))

async function putBySdk(): Promise<void> {
  await inTurns(async (index) => {
    await sdk.send(new PutObjectCommand({ Bucket: bucket, Key: `sdk/${index}`, Body: bytes }))
  })
}

async function partsBySdk(part: () => Buffer): Promise<void> {
  const place = { Bucket: bucket, Key: 'sdk/parts' }
  const { UploadId } = await sdk.send(new CreateMultipartUploadCommand(place))
  const Parts: { PartNumber: number; ETag: string | undefined }[] = []
  await inTurns(async (index) => {
    const PartNumber = index + 1
    const { ETag } = await sdk.send(new UploadPartCommand({ ...place, UploadId, PartNumber, Body: part() }))
    Parts[index] = { PartNumber, ETag }
  })
  await sdk.send(new CompleteMultipartUploadCommand({ ...place, UploadId, MultipartUpload: { Parts } }))
}

/** As the SDK's own Upload puts the chunks of a stream together. */
function collected(): Buffer {
  return Buffer.concat(frames, OBJECT)
}

async function objectsByUs(): Promise<void> {
  const upload = await store.upload(`k/0/${randomBytes(4).toString('hex')}/`)
  await inTurns((index) => upload.put(String(index), bytes, crcs.get(bytes)))
}

async function framesByUs(): Promise<void> {
  const upload = await store.upload(`k/0/${randomBytes(4).toString('hex')}/`)
  const writer = await upload.open('0', 0)
  for (let left = objects * OBJECT, next = 0; left > 0; next++) {
    const frame = frames[next % frames.length] ?? bytes
    if (frame.length <= left) await writer.write(frame, crcs.get(frame))
    else await writer.write(frame.subarray(0, left))
    left -= Math.min(left, frame.length)
  }
  await writer.finish()
  await writer.close()
}

async function inTurns(send: (index: number) => Promise<void>): Promise<void> {
  let next = 0
  const sender = async () => {
    while (next < objects) await send(next++)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, sender))
}
