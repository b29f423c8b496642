import { expect, test } from 'vitest'
import { WriteBehind } from '../../engine/backup/write-behind.ts'

test('one window is written out while the next fills, and who fills that too waits', async () => {
  const calls: (() => void)[] = []
  const behind = new WriteBehind(() => new Promise((resolve) => calls.push(resolve)), 100)
  await behind.wrote(60)
  expect(calls).toHaveLength(0)
  await behind.wrote(60)
  expect(calls).toHaveLength(1)
  await behind.wrote(99)
  let passed = false
  const waits = behind.wrote(1).then(() => {
    passed = true
  })
  await Promise.resolve()
  expect(passed).toBe(false)
  calls[0]?.()
  await waits
  expect(calls).toHaveLength(2)
  calls[1]?.()
  await behind.settle()
})

test('what fails to be written out is thrown at all who wait', async () => {
  const behind = new WriteBehind(() => Promise.reject(new Error('the disk is gone')), 10)
  await behind.wrote(10)
  await expect(behind.wrote(10)).rejects.toThrow('the disk is gone')
  await expect(behind.wrote(10)).rejects.toThrow('the disk is gone')
  await expect(behind.settle()).rejects.toThrow('the disk is gone')
})

test('what fails at the end is thrown by settle', async () => {
  const behind = new WriteBehind(() => Promise.reject(new Error('the disk is gone')), 10)
  await behind.wrote(10)
  await expect(behind.settle()).rejects.toThrow('the disk is gone')
})
