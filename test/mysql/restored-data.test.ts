import { copyFile, mkdir, readdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { createConnection } from 'mysql2/promise'
import { expect, test } from 'vitest'
import { checkUnchanged, emptiness, selectFiles } from '../../mysql/data/data-directory.ts'
import { dataRoots } from '../../mysql/data/data-roots.ts'
import { privateFolderPath } from '../../mysql/data/private-folder.ts'
import { LogMark } from '../../mysql/process/error-log.ts'
import { initializeInto } from '../../mysql/process/initialize.ts'
import { prepareStaged, serverUuidOf } from '../../mysql/settings/staged-config.ts'
import { makeStaging } from '../../mysql/swap/folders.ts'
import { recoverSwap } from '../../mysql/swap/recovery.ts'
import { beginSwap, commitSwap, discardStaging, type SwapPlan } from '../../mysql/swap/swap.ts'
import { NO_MOUNTS, smallDisk } from '../storage/mounts.ts'
import { arrangeTablet, type RealTablet, START, WAIT } from './real-tablet.ts'

const CONTENT = [
  'CREATE DATABASE `sh-op`',
  "CREATE TABLE `sh-op`.plain AS SELECT REPEAT('x', 99) AS text FROM information_schema.COLUMNS LIMIT 500",
  "CREATE TABLESPACE general ADD DATAFILE 'general.ibd'",
  'CREATE TABLE `sh-op`.in_general (id INT PRIMARY KEY) TABLESPACE general',
  'INSERT INTO `sh-op`.in_general VALUES (1), (2)',
  "CREATE UNDO TABLESPACE more ADD DATAFILE 'more.ibu'",
  'CREATE TABLE `sh-op`.parts (id INT PRIMARY KEY) PARTITION BY HASH (id) PARTITIONS 2',
  'INSERT INTO `sh-op`.parts VALUES (1), (2), (3)',
  'CREATE TABLE `sh-op`.old_engine (id INT) ENGINE = MyISAM',
  'INSERT INTO `sh-op`.old_engine VALUES (5)',
  'CREATE DATABASE accounts',
  'CREATE TABLE accounts.a (id INT PRIMARY KEY)',
  'CREATE TABLE `sh-op`.csv (id INT NOT NULL) ENGINE = CSV',
  'CREATE EVENT `sh-op`.tick ON SCHEDULE EVERY 1 SECOND DO INSERT INTO `sh-op`.parts SELECT MAX(id) + 1 FROM `sh-op`.parts',
]
const TABLES = ['plain', 'in_general', 'parts', 'old_engine', 'csv'].map((name) => `\`sh-op\`.${name}`)

async function observe({ tablet }: RealTablet) {
  const checksums = await tablet.query(`CHECKSUM TABLE accounts.a, ${TABLES.join(', ')}`)
  const [server] = await tablet.query('SELECT @@gtid_executed AS executed')
  return { checksums, server, prepared: await tablet.query('XA RECOVER') }
}

/** Puts the files of one stopped server where a download would put them on another host. */
async function stage(source: RealTablet, target: RealTablet, run: string): Promise<SwapPlan> {
  const { layout } = target
  const roots = dataRoots(layout)
  for (const { directory } of roots) await makeStaging(directory, run)
  const staging = {
    Data: await makeStaging(layout.datadir, run),
    InnoDBData: await makeStaging(layout.innodbDataHome, run),
    InnoDBLog: await makeStaging(layout.innodbLogHome, run),
  }
  const files = await selectFiles(source.layout)
  for (const { base, name, path } of files) {
    const copy = join(staging[base], name)
    await mkdir(dirname(copy), { recursive: true })
    await copyFile(path, copy)
  }
  await checkUnchanged(files)
  await prepareStaged(staging.Data, layout)
  return { run, roots, systemTablespace: layout.systemTablespace }
}

/** Warnings and errors but those about my.cnf itself, and that there is a prepared transaction. */
async function complaints(log: LogMark): Promise<string[]> {
  return (await log.linesSince()).filter(
    (line) => /\[(Warning|ERROR)\]/.test(line) && !/MY-010068|MY-011810|MY-010225/.test(line),
  )
}

/** A server with something of every kind, cleanly stopped. */
async function arrangeSource() {
  const source = await arrangeTablet()
  const { tablet, mysqld } = source
  await mysqld.start({ ...START, extraArguments: ['--event-scheduler=OFF'] })
  for (const statement of CONTENT) await tablet.query(statement)
  {
    // Without its undo log this would be committed.
    await using connection = await tablet.connect()
    for (const statement of ["XA START 'x'", 'INSERT INTO accounts.a VALUES (9)', "XA END 'x'", "XA PREPARE 'x'"]) {
      await connection.query(statement)
    }
  }
  const rows = await tablet.query<{ PATH: string }>('SELECT path AS PATH FROM information_schema.innodb_datafiles')
  const original = await observe(source)
  await mysqld.stop(undefined, WAIT)
  return { source, original, dataFiles: rows.map((row) => row.PATH.replace(/^\.\//, '')) }
}

test.skipIf(NO_MOUNTS)(
  `the selected files of a stopped server replace a tablet’s data on a mount point of its own, and can be taken out again${NO_MOUNTS ? ` (${NO_MOUNTS})` : ''}`,
  async () => {
    const { source, original, dataFiles } = await arrangeSource()
    const names = (await selectFiles(source.layout)).map((file) => file.name)
    expect(dataFiles.filter((path) => !names.includes(path))).toEqual([])
    expect(dataFiles).toEqual(expect.arrayContaining(['general.ibd', 'more.ibu', 'sh@002dop/plain.ibd']))

    const target = await arrangeTablet({ datadir: await smallDisk(500) })
    const { tablet, mysqld, layout } = target
    await mysqld.start(START)
    await tablet.query('CREATE DATABASE old_data')
    const [before] = await tablet.query('SELECT @@gtid_executed AS executed, @@server_uuid AS uuid')
    await expect(beginSwap(await stage(source, target, 'run-0'))).rejects.toThrow(/in use/)
    await mysqld.stop(undefined, WAIT)
    await discardStaging(dataRoots(layout), 'run-0')

    await beginSwap(await stage(source, target, 'run-1'))
    const log = await LogMark.atEndOf([tablet.errorLog])
    await mysqld.start(START)
    expect(await observe(target)).toEqual(original)
    expect(await complaints(log)).toEqual([])
    const [quiet] = await tablet.query(
      'SELECT @@super_read_only AS ro, @@event_scheduler AS events, @@server_id > 101 AS fresh, @@server_uuid AS uuid',
    )
    expect(quiet).toMatchObject({ ro: 1, events: 'OFF', fresh: 1, uuid: await serverUuidOf(layout.datadir) })
    await expect(recoverSwap(layout.datadir)).rejects.toMatchObject({ type: 'Refused', retryable: true })
    await mysqld.stop(undefined, WAIT)

    expect(await recoverSwap(layout.datadir)).toBe('rolled back')
    await discardStaging(dataRoots(layout), 'run-1')
    await mysqld.start(START)
    expect(await tablet.query('SELECT @@gtid_executed AS executed, @@server_uuid AS uuid')).toEqual([before])
    expect(await tablet.query("SHOW DATABASES LIKE 'old_data'")).toHaveLength(1)
    await mysqld.stop(undefined, WAIT)

    await beginSwap(await stage(source, target, 'run-2'))
    await mysqld.start(START)
    await commitSwap(layout.datadir, 'run-2')
    expect(await observe(target)).toEqual(original)
    for (const { directory } of dataRoots(layout)) {
      expect(await readdir(privateFolderPath(directory))).toEqual(
        directory === layout.datadir ? ['mysqld.lock', 'mysqld.out'] : [],
      )
    }
  },
)

test('a new server is initialized in staging, and swapped into an empty data directory', async () => {
  const { tablet, mysqld, layout } = await arrangeTablet({ empty: true })
  await mkdir(layout.datadir)
  const roots = dataRoots(layout)
  const staging = await makeStaging(layout.datadir, 'run')
  for (const { directory } of roots) await makeStaging(directory, 'run')
  await initializeInto(tablet.mysqld, layout, { Data: staging, InnoDBData: staging, InnoDBLog: staging })
  expect(await emptiness(layout)).toBe('empty')
  const { serverId } = await prepareStaged(staging, layout)
  await beginSwap({ run: 'run', roots, systemTablespace: layout.systemTablespace })
  await mysqld.start(START)
  // A new server lets root in without a password.
  const connection = await createConnection({ user: 'root', socketPath: tablet.socket })
  const [rows] = await connection.query(
    'SELECT @@gtid_executed AS executed, @@server_id AS id, @@super_read_only AS ro',
  )
  await connection.end()
  expect(rows).toEqual([{ executed: '', id: serverId, ro: 1 }])
  await commitSwap(layout.datadir, 'run')
  await mysqld.stop(undefined, WAIT)
  expect(await emptiness(layout)).toBe('data')
})

test('a server that cannot be initialized says why', async () => {
  const { tablet, layout } = await arrangeTablet({ empty: true, settings: { innodb_data_file_path: 'ibdata1:1M' } })
  await mkdir(layout.datadir)
  const staging = await makeStaging(layout.datadir, 'run')
  const roots = { Data: staging, InnoDBData: staging, InnoDBLog: staging }
  await expect(initializeInto(tablet.mysqld, layout, roots)).rejects.toMatchObject({
    type: 'MysqldFailed',
    message: expect.stringMatching(/could not initialize (.|\n)*at least 5 MB/),
  })
  expect(await emptiness(layout)).toBe('empty')
})
