import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { judgeShutdown, proveCleanShutdown, serverVersionOf } from '../../mysql/process/clean-shutdown.ts'
import { provideMysql } from '../../sandbox/provide-mysql.ts'
import { arrangeTablet, START } from './real-tablet.ts'

const ROWS = `SELECT REPEAT('x', 150) AS text FROM information_schema.COLUMNS LIMIT 2000`

describe('the proof of a clean stop', () => {
  test('says clean after fast_shutdown 0 and 1; not clean after 2, after SIGKILL and while mysqld runs', async () => {
    const { tablet, layout, mysqld } = await arrangeTablet()
    const lsns: bigint[] = []
    const runAndEnd = async (fastShutdown: number, end: 'stop' | 'kill', write: string) => {
      await mysqld.start(START)
      expect(await proveCleanShutdown(layout)).toMatchObject({ clean: false })
      await tablet.query(`SET GLOBAL innodb_fast_shutdown = ${fastShutdown}`)
      await tablet.query(write)
      await tablet[end]()
      const proof = await proveCleanShutdown(layout)
      expect(await proveCleanShutdown(layout)).toEqual(proof)
      if (proof.clean) lsns.push(proof.lsn)
      return proof
    }
    expect(await runAndEnd(1, 'stop', 'CREATE DATABASE test')).toMatchObject({ clean: true })
    const notClean = { clean: false, reason: expect.stringMatching(/LSN|redo log/) }
    expect(await runAndEnd(2, 'stop', `CREATE TABLE test.t AS ${ROWS}`)).toEqual(notClean)
    expect(await runAndEnd(1, 'kill', `INSERT INTO test.t ${ROWS}`)).toEqual(notClean)
    expect(await runAndEnd(0, 'stop', 'DO 1')).toMatchObject({ clean: true })
    expect(new Set(lsns).size).toBe(2)
  })

  test('says not clean, and why, where there is no server', async () => {
    const { layout } = await arrangeTablet({ empty: true })
    expect(await proveCleanShutdown(layout)).toEqual({
      clean: false,
      reason: 'the system tablespace has no first page',
    })
  })
})

test('the version of the server is in the data dictionary', async () => {
  const { layout } = await arrangeTablet()
  expect(await serverVersionOf(join(layout.datadir, 'mysql.ibd'))).toBe((await provideMysql()).version)
  await expect(serverVersionOf(join(layout.datadir, 'absent'))).rejects.toMatchObject({ type: 'CorruptBackup' })
})

const BEGIN = 1_000_000n
const LSN = 1_000_700n

function systemTablespace(lsn: bigint): Buffer {
  const bytes = Buffer.alloc(38)
  bytes.writeBigUInt64BE(lsn, 26)
  return bytes
}

function redoHeader({ start = BEGIN, checkpoints = [0n, LSN], format = 6 } = {}): Buffer {
  const bytes = Buffer.alloc(2048)
  bytes.writeUInt32BE(format, 0)
  bytes.writeBigUInt64BE(start, 8)
  bytes.writeBigUInt64BE(checkpoints[0] ?? 0n, 520)
  bytes.writeBigUInt64BE(checkpoints[1] ?? 0n, 1544)
  return bytes
}

function block(used: bigint, isEncrypted = false): Buffer {
  const bytes = Buffer.alloc(512)
  bytes.writeUInt16BE(Number(used) | (isEncrypted ? 0x8000 : 0), 4)
  return bytes
}

const CLEAN = {
  systemTablespace: systemTablespace(LSN),
  redoFiles: [
    { name: '#ib_redo4', header: redoHeader({ start: BEGIN - 100_000n, checkpoints: [LSN - 5_000n, 0n] }) },
    { name: '#ib_redo5', header: redoHeader() },
  ],
  checkpointBlock: block(LSN % 512n),
}

describe('judging the evidence', () => {
  test('clean data are clean, also with an encrypted redo log', () => {
    expect(judgeShutdown(CLEAN)).toEqual({ clean: true, lsn: LSN })
    expect(judgeShutdown({ ...CLEAN, checkpointBlock: block(LSN % 512n, true) })).toEqual({ clean: true, lsn: LSN })
  })

  test.each([
    ['data files behind', { systemTablespace: systemTablespace(LSN - 1n) }, /at LSN 1000699/],
    ['log that goes on in its block', { checkpointBlock: block((LSN % 512n) + 1n) }, /goes on/],
    [
      'log that goes on in a newer file',
      {
        redoFiles: [
          ...CLEAN.redoFiles,
          { name: '#ib_redo6', header: redoHeader({ start: LSN + 9n, checkpoints: [] }) },
        ],
      },
      /goes on in #ib_redo6/,
    ],
    ['unknown format', { redoFiles: [{ name: '#ib_redo5', header: redoHeader({ format: 7 }) }] }, /redo format 7/],
    ['no redo files', { redoFiles: [] }, /no redo files/],
    ['cut header', { redoFiles: [{ name: '#ib_redo5', header: redoHeader().subarray(0, 2047) }] }, /shorter/],
    ['cut block', { checkpointBlock: Buffer.alloc(3) }, /missing/],
    ['cut tablespace', { systemTablespace: Buffer.alloc(20) }, /first page/],
  ])('not clean: %s', (_what, change, reason) => {
    expect(judgeShutdown({ ...CLEAN, ...change })).toEqual({ clean: false, reason: expect.stringMatching(reason) })
  })

  test('whatever the bytes, it answers', () => {
    const bytes = fc.uint8Array({ maxLength: 2100 }).map((array) => Buffer.from(array))
    const evidence = fc.record({
      systemTablespace: bytes,
      redoFiles: fc.array(fc.record({ name: fc.string(), header: bytes }), { maxLength: 3 }),
      checkpointBlock: bytes,
    })
    fc.assert(
      fc.property(evidence, (given) => {
        expect(judgeShutdown(given)).toHaveProperty('clean', false)
      }),
    )
  })

  test('any change of the bytes that matter is noticed', () => {
    const where = fc.oneof(
      fc.record({ part: fc.constant('system'), at: fc.integer({ min: 26, max: 33 }) }),
      fc.record({ part: fc.constant('redo'), at: fc.integer({ min: 1544, max: 1551 }) }),
      fc.record({ part: fc.constant('block'), at: fc.constant(5) }),
    )
    fc.assert(
      fc.property(where, fc.integer({ min: 1, max: 255 }), ({ part, at }, flip) => {
        const copy = {
          systemTablespace: Buffer.from(CLEAN.systemTablespace),
          redoFiles: CLEAN.redoFiles.map(({ name, header }) => ({ name, header: Buffer.from(header) })),
          checkpointBlock: Buffer.from(CLEAN.checkpointBlock),
        }
        const changed = { system: copy.systemTablespace, redo: copy.redoFiles[1]?.header, block: copy.checkpointBlock }[
          part
        ]
        changed?.writeUInt8((changed.readUInt8(at) ^ flip) & 0xff, at)
        expect(judgeShutdown(copy).clean).toBe(false)
      }),
    )
  })
})
