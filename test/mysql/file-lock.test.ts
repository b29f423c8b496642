import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { greets } from '../../mysql/process/server-socket.ts'
import { lockFile, lockHolder } from '../../mysql/system/file-lock.ts'
import { waitUntil } from '../../sandbox/wait-until.ts'
import { temporaryDirectory } from '../storage/temporary-directory.ts'
import { arrangeTablet, START, WAIT } from './real-tablet.ts'

test('one of two gets the lock, and the other when it is released; closing another descriptor does not drop it', async () => {
  const path = join(await temporaryDirectory(), 'file')
  await writeFile(path, 'content')
  const first = await lockFile(path)
  expect(first).toBeDefined()
  expect(await lockFile(path)).toBeUndefined()
  expect(await readFile(path, 'utf8')).toBe('content')
  expect(await lockHolder(path)).toEqual({ kind: 'open file' })
  expect(await lockFile(path)).toBeUndefined()
  await first?.release()
  await first?.release()
  expect(await lockHolder(path)).toBeUndefined()
  await using second = await lockFile(path)
  expect(second).toBeDefined()
})

test('a file that is not there is an error, not a free lock', async () => {
  const path = join(await temporaryDirectory(), 'absent')
  await expect(lockFile(path)).rejects.toThrow(/ENOENT/)
  await expect(lockHolder(path)).rejects.toThrow(/ENOENT/)
})

test('a running mysqld keeps the lock, and is known as its holder; a stopped one does not', async () => {
  const { tablet, layout, mysqld } = await arrangeTablet()
  expect(await mysqld.isRunning()).toBe(false)
  await mysqld.start(START)
  expect(await lockFile(layout.systemTablespace)).toBeUndefined()
  expect(await lockHolder(layout.systemTablespace)).toEqual({ kind: 'process', pid: await tablet.pid() })
  expect(await mysqld.isRunning()).toBe(true)
  await mysqld.stop(undefined, WAIT)
  expect(await mysqld.isRunning()).toBe(false)
  await using lock = await lockFile(layout.systemTablespace)
  expect(lock).toBeDefined()
  // Our own lock is not a mysqld.
  expect(await mysqld.isRunning()).toBe(false)
})

test('mysqld does not start on a locked system tablespace, and starts by itself when it is released', async () => {
  const { tablet, layout, mysqld } = await arrangeTablet()
  const lock = await lockFile(layout.systemTablespace)
  const child = spawn(tablet.mysqld, [`--defaults-file=${tablet.defaultsFile}`], { stdio: 'ignore' })
  onTestFinished(() => {
    child.kill('SIGKILL')
  })
  await waitUntil('mysqld finds the file locked', async () =>
    /Unable to lock/.test(await readFile(tablet.errorLog, 'utf8').catch(() => '')),
  )
  expect(await mysqld.isRunning()).toBe(false)
  await lock?.release()
  await waitUntil('mysqld greets', () => greets(layout.socket))
  expect(await mysqld.isRunning()).toBe(true)
  expect(child.exitCode).toBeNull()
  child.kill('SIGTERM')
  await once(child, 'exit')
})
