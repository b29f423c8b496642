import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { assertUnused } from '../../client/backup-in-use.ts'
import { Tabletkeeper } from '../../client/tabletkeeper.ts'
import { parseAlias } from '../../model/alias.ts'
import { parseShardName } from '../../model/shard-name.ts'
import { startTemporal, type TemporalServer } from '../../sandbox/temporal-server.ts'
import { waitUntil } from '../../sandbox/wait-until.ts'
import { BACKUP, SHARD } from './run-views.ts'

// Nobody runs workflows here: no run can say which backup it uses.
const ELSEWHERE = parseShardName('commerce/1')
let directory: string
let temporal: TemporalServer
let keeper: Tabletkeeper

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tabletkeeper-test-'))
  temporal = await startTemporal({ directory })
  process.env['TEMPORAL_ADDRESS'] = temporal.address
  keeper = await Tabletkeeper.connect()
})

afterAll(async () => {
  await keeper[Symbol.asyncDispose]()
  await temporal.stop()
  await rm(directory, { recursive: true, force: true })
})

async function untilListed(count: number): Promise<void> {
  await waitUntil(`${count} runs are listed`, async () => (await keeper.runs()).length === count)
}

describe('a backup that is to be removed, while no control answers', () => {
  it('is not used by runs of other shards', async () => {
    await keeper.restore({ shard: ELSEWHERE, tablet: parseAlias('zone1-201') })
    await keeper.verify({ shard: ELSEWHERE })
    await untilListed(2)
    await assertUnused(SHARD, BACKUP, { encryptionKeyFiles: [] })
  })

  it('may be used by those of its own, which is told', async () => {
    const verification = await keeper.verify({ shard: SHARD })
    await untilListed(3)
    await expect(assertUnused(SHARD, BACKUP, { encryptionKeyFiles: [] })).rejects.toMatchObject({
      type: 'NoAgent',
      message: expect.stringContaining(`${verification.workflowId} may use ${BACKUP}`),
      hint: expect.stringContaining('--offline'),
    })
  })
})
