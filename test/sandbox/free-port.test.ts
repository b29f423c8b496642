import { expect, test } from 'vitest'
import { freePort, rangeBeside } from '../../sandbox/free-port.ts'

test('a free port is given to nobody else while this process lives', async () => {
  const ports: number[] = []
  // By chance alone, nine of these would be two of the same.
  while (ports.length < 500) ports.push(await freePort())
  expect(new Set(ports).size).toBe(ports.length)
})

test.each([
  ['is the usual one', [32_768, 60_999], [18_000, 31_999]],
  ['begins a little lower', [24_000, 65_535], [18_000, 23_999]],
  ['begins where ours does', [16_000, 65_535], [10_100, 15_999]],
  ['begins below all of ours', [1_024, 40_000], [40_001, 65_535]],
  ['leaves nothing', [1_024, 65_535], [18_000, 31_999]],
] as const)('free ports lie beside the range of outgoing connections where that %s', (_how, kernel, ours) => {
  const [lowest, highest] = kernel
  expect(rangeBeside({ lowest, highest })).toEqual({ lowest: ours[0], highest: ours[1] })
})
