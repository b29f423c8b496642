import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ApplicationFailure } from '@temporalio/common'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Config } from '../../model/config.ts'
import type { SampleTablet } from '../../sandbox/sample-tablet.ts'
import { type Fault, withFaults } from './faults.ts'
import { expectOldData, expectRestored, failureOf, standingOf, startRestore } from './restored.ts'
import { startWorld, type World } from './world.ts'

describe('a backup from before the password of the agent was changed', () => {
  let world: World
  let tablet: SampleTablet
  let newPassword: string

  beforeAll(async () => {
    world = await startWorld()
    await world.startControl()
    const [replica] = world.shard.replicas
    if (replica === undefined) throw new Error('the shard has no replica')
    tablet = replica
    const [before, after] = await Promise.all(
      ['before', 'after'].map(async (password) => {
        const path = join(world.directory, `password-${password}`)
        await writeFile(path, `${password}\n`, { mode: 0o600 })
        return path
      }),
    )
    newPassword = after ?? ''
    await changePassword('before')
    const agent = await world.startAgent(replica.alias, { config: withPassword(before ?? '') })
    await (await world.keeper.backup(world.input(replica.alias))).result()
    await agent.stop()
    await changePassword('after')
  })
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]()
  })

  async function changePassword(password: string): Promise<void> {
    await world.shard.primary.query("ALTER USER tabletkeeper@localhost IDENTIFIED WITH 'caching_sha2_password' BY ?", [
      password,
    ])
    await world.shard.awaitReplicated(tablet)
  }

  function withPassword(passwordFile: string): Config {
    const config = world.config()
    const shards = [...config.shards].map(([shard, tablets]) => {
      const own = [...tablets].map(([alias, { mysql, ...rest }]) => {
        return [alias, { ...rest, mysql: { ...mysql, admin: { ...mysql.admin, passwordFile } } }] as const
      })
      return [shard, new Map(own)] as const
    })
    return { ...config, shards: new Map(shards) }
  }

  async function restoring(
    faults: readonly Fault[],
    check: (run: Awaited<ReturnType<typeof startRestore>>) => Promise<void>,
  ) {
    const agent = await world.startAgent(tablet.alias, {
      config: withPassword(newPassword),
      interceptors: withFaults(...faults),
    })
    try {
      await check(await startRestore(world, tablet))
    } finally {
      await agent.stop()
    }
  }

  test('is restored, and lets the agent in', async () => {
    const before = await standingOf(tablet)
    await restoring([], async (run) => {
      await run.result()
      await expectRestored(world, tablet, before)
    })
  })

  test('that lets nobody in goes again, and the old data come back', async () => {
    const before = await standingOf(tablet)
    const happens = async (): Promise<void> => {
      await using connection = await tablet.connect()
      await connection.query('SET GLOBAL super_read_only = OFF')
      await connection.query('SET sql_log_bin = 0')
      await connection.query("ALTER USER tabletkeeper@localhost IDENTIFIED BY 'nobody knows'")
      throw ApplicationFailure.nonRetryable('it was to fail here')
    }
    await restoring([{ at: 'startMysqld', when: 'after', happens }], async (run) => {
      expect(await failureOf(run)).toMatchObject({ step: 'startMysqld', returnedBy: 'workflow' })
      await expectOldData(world, tablet, before)
    })
  })
})
