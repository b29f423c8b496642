import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { findTablet, parseConfig } from '../../model/config.ts'
import type { Milliseconds } from '../../model/units.ts'
import type { SampleTablet } from '../../sandbox/sample-tablet.ts'
import { LagMonitor } from '../../tablets/lag-monitor.ts'
import { judgeServing } from '../../tablets/serving.ts'
import { StandaloneDriver } from '../../tablets/standalone/driver.ts'
import { eventually } from '../integration/assertions.ts'
import { type TemporaryShard, temporaryShard } from '../mysql/a-shard.ts'
import { hangingPeer } from './hanging-peer.ts'

const MAX_LAG = 10_000 as Milliseconds

describe('a peer that hangs after its login', () => {
  let sample: TemporaryShard
  let third: SampleTablet
  beforeAll(async () => {
    sample = await temporaryShard()
    third = await sample.shard.addTablet(180, { settings: { 'tls-version': '""' } })
    await third.initialize()
    await third.start()
    const { user, password } = sample.shard.replicationAccount
    await third.query('CREATE USER ? IDENTIFIED BY ?', [user, password])
    await third.query('GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO ?', [user])
    await third.query('SET GLOBAL super_read_only = ON')
  })
  afterAll(() => sample[Symbol.asyncDispose]())

  async function besideAHangingPeer(tablet: SampleTablet): Promise<StandaloneDriver> {
    const config = parseConfig(sample.shard.configText({ storageRoot: '/nowhere' }), 'test')
    const others = [sample.primary, sample.replica].filter((one) => one !== tablet)
    const stuck = { ...findTablet(config, third.alias), port: await hangingPeer(third.port) }
    const peers = [...others.map(({ alias }) => findTablet(config, alias)), stuck]
    return new StandaloneDriver(findTablet(config, tablet.alias), peers, () => 'REPLICA')
  }

  test.each(['primary', 'replica'] as const)('takes no other tablet out of routing: %s', async (which) => {
    const driver = await besideAHangingPeer(sample[which])
    const lag = new LagMonitor(driver)
    const ending = new AbortController()
    const running = lag.run(ending.signal)
    const judged = () => judgeServing(driver, undefined, lag.latest, MAX_LAG)
    await eventually(
      async () => judged(),
      ({ serving }) => serving,
    )
    // Longer than an observation counts for.
    const until = performance.now() + 17_000
    while (performance.now() < until) {
      await lag.observe()
      expect(judged()).toMatchObject({ serving: true, type: which === 'primary' ? 'PRIMARY' : 'REPLICA' })
    }
    ending.abort()
    await running
  })

  test('is looked at for three seconds, and the primary is found', async () => {
    const driver = await besideAHangingPeer(sample.replica)
    // Asks mysqld's program for its defaults, once.
    await driver.layout()
    const began = performance.now()
    expect(await driver.primary()).toMatchObject({ alias: sample.primary.alias })
    expect(await driver.othersServing()).toEqual([sample.primary.alias])
    expect(performance.now() - began).toBeLessThan(8_000)
  })
})
