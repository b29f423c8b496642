// Stores files as objects one after the other, each durable before the next begins: what a store does whose every object is synced by
// itself. In a process of its own.
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { checksumsOf } from '../engine/frames/checksums.ts'
import { compressFrame } from '../engine/frames/frame.ts'
import { answer, readJob } from './job.ts'
import type { Outcome } from './outcome.ts'
import { ownUsage } from './usage.ts'

const job = await readJob(z.object({ files: z.array(z.string()), directory: z.string(), level: z.int() }))
const target = join(job.directory, 'objects')
mkdirSync(target)
const directory = openSync(target, 'r')
const before = ownUsage()
const begin = performance.now()
let dataBytes = 0
let storedBytes = 0
for (const [index, path] of job.files.entries()) {
  const plain = readFileSync(path)
  const stored = compressFrame(plain, job.level)
  checksumsOf(stored)
  const temporary = join(target, `.${index}`)
  const descriptor = openSync(temporary, 'wx')
  writeSync(descriptor, stored)
  fsyncSync(descriptor)
  closeSync(descriptor)
  renameSync(temporary, join(target, String(index)))
  fsyncSync(directory)
  dataBytes += plain.length
  storedBytes += stored.length
}
const seconds = (performance.now() - begin) / 1000
const usage = ownUsage()
const outcome: Outcome = {
  seconds,
  syncSeconds: 0,
  cpuSeconds: usage.cpuSeconds - before.cpuSeconds,
  maxRssBytes: usage.maxRssBytes,
  dataBytes,
  storedBytes,
}
answer(outcome)
