import { readFile } from 'node:fs/promises'
import { join, sep } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { CommanderError } from 'commander'
import { expect, test } from 'vitest'
import { buildProgram } from '../../client/grammar.ts'
import { normalizeVitessFlags } from '../../client/vitess-flags.ts'
import { FRAME_SIZE } from '../../engine/frames/frame.ts'
import { formatSeekTable, parseSeekTable } from '../../engine/frames/seek-table.ts'
import { planRestore } from '../../engine/restore/restore-plan.ts'
import { parseAlias } from '../../model/alias.ts'
import { parseBackupName } from '../../model/backup-name.ts'
import { parseConfig } from '../../model/config.ts'
import { isError } from '../../model/errors.ts'
import { GtidSet } from '../../model/gtid-set.ts'
import { parseLease } from '../../model/lease.ts'
import { formatManifest, parseManifest } from '../../model/manifest.ts'
import { parsePosition } from '../../model/position.ts'
import { parseShardName } from '../../model/shard-name.ts'
import { parseTime } from '../../model/time.ts'
import { parseJournal } from '../../mysql/swap/journal.ts'
import { DIRECTORY, manifestFor, NAME } from '../engine/sample-run.ts'
import { SHARD } from '../storage/sample-backup.ts'
import { mutate, mutateBytes, randomOf } from './mutation.ts'

setFlagsFromString('--expose-gc')
const collectGarbage: () => void = runInNewContext('gc')

/** FUZZ_SEED and FUZZ_INPUTS choose others, for longer runs. */
const SEED = Number(process.env['FUZZ_SEED'] ?? 1)
const INPUTS = Number(process.env['FUZZ_INPUTS'] ?? 100_000)
const MIB = 1024 ** 2
/** Of one input, in processor time: others may be at work. */
const LONGEST_MS = 500

/**
 * Gives mutated inputs to a reader: each is read, or refused by an error of ours; none takes long or much memory.
 * @param read throws what it refuses
 */
async function fuzz(input: (random: () => number) => string | Buffer, read: (input: never) => unknown): Promise<void> {
  const random = randomOf(SEED)
  const before = process.memoryUsage().rss
  let [accepted, refused, longest, most] = [0, 0, 0, 0]
  for (let index = 0; index < INPUTS; index += 1) {
    const given = input(random)
    const begin = process.threadCpuUsage()
    try {
      await read(given as never)
      accepted += 1
    } catch (error) {
      refused += 1
      const isOurs = isError(error) || error instanceof CommanderError
      if (!isOurs) throw new Error(`input ${index} of seed ${SEED}: ${JSON.stringify(String(given))}`, { cause: error })
    }
    const { user, system } = process.threadCpuUsage(begin)
    longest = Math.max(longest, (user + system) / 1000)
    if (index % 1_000 === 0) {
      most = Math.max(most, process.memoryUsage().rss - before)
      // What the inputs before have left is no memory of the next: V8 lets it lie where a machine has much.
      collectGarbage()
    }
  }
  expect(longest).toBeLessThan(LONGEST_MS)
  expect(most / MIB).toBeLessThan(300)
  // Inputs that are all refused, or all accepted, test nothing.
  expect(refused).toBeGreaterThan(INPUTS / 20)
  expect(accepted).toBeGreaterThan(0)
}

const texts =
  (...samples: string[]) =>
  (random: () => number) =>
    mutate(samples, random)

test.each([
  ['aliases', ['zone1-101', 'zone1-0000000101', 'a_b-4294967295'], parseAlias],
  ['names of backups', [NAME, '2026-11-24.023004.zone1-0000000101'], parseBackupName],
  ['times', ['2026-11-24T02:00:00Z', '2026-11-24 02:00:00.25+05:30'], parseTime],
  ['names of shards', ['commerce/0', 'commerce/-80', 'customer/80-'], parseShardName],
  [
    'GTID sets',
    [
      '3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5:11-18',
      '3e11fa47-71ca-11e1-9e33-c80aa9429562:1,\n4fd4834a-71ca-11e1-9e33-c80aa9429562:tag:1-24:7',
    ],
    (text: string) => GtidSet.parse(text),
  ],
  ['positions', ['MySQL56/3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5', 'MySQL56/'], parsePosition],
] as const)(
  '%s',
  async (_, samples, read) => {
    await fuzz(texts(...samples), read)
  },
  300_000,
)

test('MANIFESTs, and where their files would be written', async () => {
  const files = Array.from({ length: 6 }, (_, index) => ({
    ...{ base: index < 2 ? ('InnoDBData' as const) : ('Data' as const), name: `commerce/t${index}.ibd` },
    ...{ size: 65_536 * (index + 1), stored: 900 + index, hash: '0123abcd', segmentHash: 'ab'.repeat(32) },
  }))
  const samples = (['tabletkeeper', 'vitess'] as const).map((maker) => formatManifest(manifestFor(files, maker)))
  const place = { shard: SHARD, backup: NAME }
  const roots = { Data: '/staging/data', InnoDBData: '/staging/innodb', InnoDBLog: '/staging/log' }
  const within = Object.values(roots).map((root) => root + sep)
  await fuzz(texts(...samples), (text: string) => {
    const manifest = parseManifest(text, place)
    const stored = manifest.Tabletkeeper?.Files ?? []
    const sizes = new Map(
      manifest.FileEntries.map((_entry, index) => [`${DIRECTORY}${index}`, stored[index]?.Stored ?? 1]),
    )
    for (const { path } of planRestore(manifest, DIRECTORY, roots, sizes)) {
      // Not an error of ours: it would end the test.
      if (!within.some((root) => path.startsWith(root))) throw new Error(`${path} is outside`)
    }
  })
}, 300_000)

test('configurations', async () => {
  const example = await readFile(join(import.meta.dirname, '../../tabletkeeper.example.yaml'), 'utf8')
  // Most of the example is comments: of those, changes mean nothing.
  const bare = example.replaceAll(/ +#.*$/gm, '').replaceAll(/^#.*\n/gm, '')
  const short =
    'storage: { kind: s3, bucket: b, region: eu-central-1 }\nmysql: { defaultsFile: /a, replication: { user: r, passwordFile: /b } }\n'
  await fuzz(texts(bare, short), (text: string) => parseConfig(text, 'fuzz'))
}, 600_000)

test('seek tables', async () => {
  const frames = Array.from({ length: 5 }, (_, index) => ({
    stored: 1_000 + index,
    plain: index < 4 ? FRAME_SIZE : 77,
  }))
  const table = formatSeekTable(frames)
  const plain = frames.reduce((sum, frame) => sum + frame.plain, 0)
  const stored = frames.reduce((sum, frame) => sum + frame.stored, 0) + table.length
  const of = { key: 'k', stored, plain, frameSize: FRAME_SIZE }
  let first = true
  await fuzz(
    (random) => {
      const given = first ? table : mutateBytes(table, random)
      first = false
      return given
    },
    (bytes: Buffer) => {
      for (const place of parseSeekTable(bytes, of)) {
        if (place.storedOffset + place.stored > stored || place.plainOffset + place.plain > plain)
          throw new Error('outside')
      }
    },
  )
}, 300_000)

const LEASE = JSON.stringify({
  ...{
    version: 1,
    token: 'b1946ac92492d234',
    namespace: 'default',
    workflowId: 'backup/commerce/0',
    runId: 'r',
    kind: 'backup',
  },
  ...{ since: '2026-11-24T02:30:00.000Z', state: 'held', type: 'BACKUP', returnTo: 'REPLICA', mysqldRan: true },
  ...{
    serverUuid: null,
    ...{ tablet: 'zone1-0000000101', machineId: 'm', host: 'db2' },
    step: { name: 'stopMysqld', activityId: '7', since: '2026-11-24T02:30:01.000Z' },
  },
  ...{ touched: '2026-11-24T02:31:00.000Z', outOfServiceSince: null, captured: null, reading: null, overridden: {} },
  ...{ proven: false, stoppedAt: '123' },
})

test('leases', async () => {
  parseLease(LEASE, '/lease.json')
  await fuzz(texts(LEASE), (text: string) => parseLease(text, '/lease.json'))
}, 300_000)

test('journals of swaps', async () => {
  const root = {
    directory: '.',
    takes: { kind: 'all', keep: ['binlog'], keepDirectories: [] },
    out: ['mysql.ibd'],
    in: ['mysql.ibd'],
  }
  const journal = JSON.stringify({
    format: 1,
    run: 'r1',
    phase: 'swapped',
    systemTablespace: 'ibdata1',
    roots: [root, root],
  })
  await fuzz(texts(journal), (text: string) => parseJournal(text, '/data'))
}, 300_000)

test('command lines', async () => {
  const lines = [
    'backup zone1-101 --concurrency 4 --agent-timeout 30s --detach --json',
    'restore zone1-101 --before 2026-11-24T02:30:00Z --offline --data-dir /a --yes',
    'list commerce/0 --offline --config /etc/tabletkeeper/tabletkeeper.yaml',
    'schedule create commerce/0 --every 24h',
    'agent --tablet zone1-101 --restore_from_backup -init_keyspace commerce --backup_storage_implementation=file',
  ].map((line) => line.split(' ').join('\0'))
  await fuzz(texts(...lines), async (text: string) => {
    const program = buildProgram(async () => {})
    for (const command of [program, ...program.commands.flatMap((one) => [one, ...one.commands])]) {
      command.exitOverride().configureOutput({ writeOut: () => {}, writeErr: () => {} })
    }
    await program.parseAsync(normalizeVitessFlags(text.split('\0')), { from: 'user' })
  })
}, 600_000)
