// One thread does the work of a backup's workers for each frame, one after the other, and writes nothing. What it reaches, times the
// cores, is the limit of a copy. In a process of its own.
import { closeSync, openSync, readSync } from 'node:fs'
import { z } from 'zod'
import { checksumsOf } from '../engine/frames/checksums.ts'
import { compressFrame, FRAME_SIZE, isZero } from '../engine/frames/frame.ts'
import { badPagesOf, type PageFormat, pageFormatOf } from '../engine/pages/page-check.ts'
import { answer, readJob } from './job.ts'
import type { Limit } from './limit.ts'
import { ownUsage } from './usage.ts'

const SLICE = 256 * 1024

/** Every so many frames is worked on twice instead of once: with the page check and without. */
const PAIRED = 4

const { files, level } = await readJob(
  z.object({ files: z.array(z.object({ name: z.string(), path: z.string() })), level: z.int() }),
)
const buffer = Buffer.allocUnsafeSlow(FRAME_SIZE)
const single = { bytes: 0, seconds: 0, compressSeconds: 0, cpuSeconds: 0 }
const paired = { bytes: 0, withCheck: 0, withoutCheck: 0 }
let frames = 0

for (const { name, path } of files) {
  const descriptor = openSync(path, 'r')
  const start = buffer.subarray(0, readSync(descriptor, buffer, 0, SLICE, 0))
  const pages = pageFormatOf(name, start)
  for (let offset = 0, length = FRAME_SIZE; length === FRAME_SIZE; offset += FRAME_SIZE) {
    length = frames % PAIRED === 0 ? workTwice(descriptor, offset, pages) : workOnce(descriptor, offset, pages)
    frames += 1
  }
  closeSync(descriptor)
}
const limit: Limit = { single: { ...single, maxRssBytes: ownUsage().maxRssBytes }, paired }
answer(limit)

function workOnce(descriptor: number, offset: number, pages: PageFormat | undefined): number {
  const work = workOn(descriptor, offset, pages)
  single.bytes += work.length
  single.seconds += work.seconds
  single.compressSeconds += work.compressSeconds
  single.cpuSeconds += work.cpuSeconds
  return work.length
}

/** The second of the two finds its frame in the processor's cache: who is second changes. */
function workTwice(descriptor: number, offset: number, pages: PageFormat | undefined): number {
  const withFirst = (frames / PAIRED) % 2 === 0
  const first = workOn(descriptor, offset, withFirst ? pages : undefined)
  const second = workOn(descriptor, offset, withFirst ? undefined : pages)
  paired.bytes += first.length
  paired.withCheck += (withFirst ? first : second).cpuSeconds
  paired.withoutCheck += (withFirst ? second : first).cpuSeconds
  return first.length
}

/** Reads, checks, compresses and hashes one frame as a worker of the engine does. */
function workOn(descriptor: number, offset: number, pages: PageFormat | undefined) {
  const begin = performance.now()
  const beginCpu = threadCpuSeconds()
  let length = 0
  let zero = true
  while (length < FRAME_SIZE) {
    const read = readSync(descriptor, buffer, length, Math.min(SLICE, FRAME_SIZE - length), offset + length)
    if (read === 0) break
    const slice = buffer.subarray(length, length + read)
    zero &&= isZero(slice)
    if (pages !== undefined) badPagesOf(slice, (offset + length) / pages.pageSize, pages)
    length += read
  }
  const compressing = performance.now()
  let compressed = compressing
  if (!zero) {
    const stored = compressFrame(buffer.subarray(0, length), level)
    compressed = performance.now()
    checksumsOf(stored)
    // As the engine's writer does: else memory waits for the garbage collector.
    if (stored.buffer instanceof ArrayBuffer) stored.buffer.transfer(0)
  }
  return {
    length,
    seconds: (performance.now() - begin) / 1000,
    compressSeconds: (compressed - compressing) / 1000,
    cpuSeconds: threadCpuSeconds() - beginCpu,
  }
}

function threadCpuSeconds(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1e6
}
