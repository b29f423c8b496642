import { describe, expect, test } from 'vitest'
import { assertSpared } from '../../activities/min-serving.ts'
import { parseAlias, type TabletAlias } from '../../model/alias.ts'
import { parseShardName } from '../../model/shard-name.ts'

const PRIMARY = parseAlias('zone1-100')
const REPLICA = parseAlias('zone1-102')

/** A tablet of a shard whose others answer so, one look after the other; the last answer stays. */
function tabletBeside(...answers: readonly (readonly TabletAlias[])[]) {
  let looks = 0
  const othersServing = async () => {
    looks += 1
    return answers[Math.min(looks, answers.length) - 1] ?? []
  }
  const driver = { alias: parseAlias('zone1-101'), shard: parseShardName('commerce/0'), othersServing }
  return { context: { tablet: { driver }, config: { backup: { minServing: 2 } } }, looks: () => looks }
}

const { signal } = new AbortController()

describe('a tablet is spared', () => {
  test('when enough others serve, by one look', async () => {
    const { context, looks } = tabletBeside([PRIMARY, REPLICA])
    expect(await assertSpared(context, [], signal)).toEqual({ others: [PRIMARY, REPLICA], warnings: [] })
    expect(looks()).toBe(1)
  })

  test('when one of them did not answer for a moment', async () => {
    const { context, looks } = tabletBeside([PRIMARY], [PRIMARY, REPLICA])
    expect(await assertSpared(context, [], signal)).toEqual({ others: [PRIMARY, REPLICA], warnings: [] })
    expect(looks()).toBe(2)
  })

  test('by somebody who knows better, at once and with a warning', async () => {
    const { context, looks } = tabletBeside([PRIMARY])
    expect(await assertSpared(context, ['min-serving'], signal)).toMatchObject({
      others: [PRIMARY],
      warnings: [{ about: '--force-min-serving', message: expect.stringContaining('backup.minServing is 2') }],
    })
    expect(looks()).toBe(1)
  })

  test('not when the others stay away', async () => {
    const { context, looks } = tabletBeside([PRIMARY])
    await expect(assertSpared(context, [], signal)).rejects.toMatchObject({
      type: 'Refused',
      message: `zone1-0000000101 cannot be spared: only ${PRIMARY} of commerce/0 would serve, and backup.minServing is 2`,
    })
    expect(looks()).toBe(3)
  })
})
