import { expect, test } from 'vitest'
import { freePort } from '../../sandbox/free-port.ts'

test('a free port is given to nobody else while this process lives', async () => {
  const ports: number[] = []
  // By chance alone, nine of these would be two of the same.
  while (ports.length < 500) ports.push(await freePort())
  expect(new Set(ports).size).toBe(ports.length)
})
