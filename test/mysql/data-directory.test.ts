import { renameSync } from 'node:fs'
import { mkdir, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { checkUnchanged, emptiness, selectFiles, selectFilesInUse } from '../../mysql/data/data-directory.ts'
import type { ServerLayout } from '../../mysql/settings/my-cnf.ts'
import { temporaryDirectory } from '../storage/temporary-directory.ts'

/** A data directory that looks as one does from outside, with one file of each kind; and the layout that goes with it. */
async function arrange(): Promise<{ readonly datadir: string; readonly layout: ServerLayout; put: Put }> {
  const datadir = await temporaryDirectory()
  const put: Put = async (name, content = name) => {
    await mkdir(join(datadir, name, '..'), { recursive: true })
    await writeFile(join(datadir, name), content)
  }
  const layout: ServerLayout = {
    defaultsFile: join(datadir, 'my.cnf'),
    datadir,
    innodbDataHome: datadir,
    innodbLogHome: datadir,
    undoDirectory: datadir,
    doublewriteDirectory: datadir,
    user: undefined,
    dataFilePath: 'ibdata1:12M;ibdata2:12M:autoextend',
    systemFiles: ['ibdata1', 'ibdata2'],
    systemTablespace: join(datadir, 'ibdata1'),
    socket: join(datadir, 'mysql.sock'),
    port: 3306,
    pidFile: join(datadir, 'db1.pid'),
    errorLog: join(datadir, 'db1.err'),
    queryLogs: [join(datadir, 'slow.log')],
    workDirectories: [],
    binlog: { basename: join(datadir, 'binlog'), index: join(datadir, 'binlog.index') },
    relayLog: { basename: join(datadir, 'relay'), index: join(datadir, 'relay.index') },
    serverId: 1,
  }
  return { datadir, layout, put }
}

type Put = (name: string, content?: string) => Promise<void>

const COPIED = [
  'InnoDBData ib_buffer_pool',
  'InnoDBData ibdata1',
  'InnoDBData ibdata2',
  'InnoDBLog #innodb_redo/#ib_redo12',
  'Data mysql.ibd',
  'Data general.ibd',
  'Data more.ibu',
  'Data undo_001',
  'Data undo_002',
  'Data commerce/big#p#p0.ibd',
  'Data commerce/plain.CSV',
  'Data commerce/plain_1.sdi',
  'Data mysql/general_log_213.sdi',
  'Data sh@002dop/t.ibd',
  'Data sub/general.ibd',
]
const LEFT = [
  '#ib_16384_0.dblwr',
  '#innodb_redo/#ib_redo13_tmp',
  '#innodb_temp/temp_1.ibt',
  '.tabletkeeper/staging-1/mysql/t.ibd',
  'auto.cnf',
  'binlog.000001',
  'ca.pem',
  'db1.err',
  'ibtmp1',
  'lost+found/x',
  'mysqld-auto.cnf',
  'not-a-database/readme',
  'relay.000001',
  'undo_1_trunc.log',
]

async function arrangeServer() {
  const arranged = await arrange()
  for (const line of COPIED) await arranged.put(line.slice(line.indexOf(' ') + 1))
  for (const name of LEFT) await arranged.put(name)
  await arranged.put('commerce/plain.CSV', '')
  return arranged
}

test('every kind of file that matters is selected, in Vitess’s order, and nothing else', async () => {
  const { layout } = await arrangeServer()
  const files = await selectFiles(layout)
  expect(files.map(({ base, name }) => `${base} ${name}`)).toEqual(COPIED)
  expect(files.find((file) => file.name === 'commerce/plain.CSV')?.size).toBe(0)
  await checkUnchanged(files)
})

describe('what no backup can hold is refused', () => {
  test.each<[string, (datadir: string, put: Put) => Promise<unknown>, RegExp]>([
    [
      'a table behind a symbolic link',
      (at) => symlink('/tmp/x', join(at, 'commerce/t.ibd')),
      /t.ibd is a symbolic link/,
    ],
    ['a database behind one', (at) => symlink(join(at, 'commerce'), join(at, 'shop')), /shop is a symbolic link/],
    ['a tablespace in the root behind one', (at) => symlink('/tmp/x', join(at, 'x.ibd')), /x.ibd is a symbolic link/],
    ['a directory in a database', (_at, put) => put('commerce/sub/t.ibd'), /commerce\/sub is a directory/],
    ['a system file that is missing', (at) => rm(join(at, 'ibdata2')), /ibdata2, which .* is missing/],
    ['MyRocks', (_at, put) => put('.rocksdb/1.sst'), /MyRocks/],
  ])('%s', async (_what, spoil, message) => {
    const { datadir, layout, put } = await arrangeServer()
    await spoil(datadir, put)
    await expect(selectFiles(layout)).rejects.toMatchObject({
      type: 'Refused',
      message: expect.stringMatching(message),
    })
  })

  test('undo tablespaces elsewhere', async () => {
    const { layout } = await arrangeServer()
    await expect(selectFiles({ ...layout, undoDirectory: '/undo' })).rejects.toThrow(/undo tablespaces are in \/undo/)
  })

  test('but a link to something that is no database does no harm', async () => {
    const { datadir, layout } = await arrangeServer()
    await symlink('/etc/hostname', join(datadir, 'a-file'))
    await symlink('/etc/no-such-file', join(datadir, 'nothing'))
    expect(await selectFiles(layout)).toHaveLength(COPIED.length)
  })
})

describe('a file that was touched breaks the fence, and is named', () => {
  test.each<[string, (path: string) => Promise<unknown>]>([
    ['grown', (path) => writeFile(path, 'more than there was')],
    [
      'rewritten in its old time',
      async (path) => {
        await rm(path)
        await writeFile(path, 'sub/general.ibd')
        await utimes(path, 1, 1)
      },
    ],
    ['touched', (path) => utimes(path, 1, 1)],
    ['removed', (path) => rm(path)],
  ])('%s', async (_how, touch) => {
    const { datadir, layout } = await arrangeServer()
    const files = await selectFiles(layout)
    await touch(join(datadir, 'sub/general.ibd'))
    await expect(checkUnchanged(files)).rejects.toMatchObject({
      type: 'FenceBroken',
      message: expect.stringContaining(join(datadir, 'sub/general.ibd')),
    })
  })
})

describe('a data directory', () => {
  test('with nothing but the host’s own files is empty', async () => {
    const { layout, put } = await arrange()
    expect(await emptiness(layout)).toBe('empty')
    for (const name of [
      '.tabletkeeper/lease',
      'lost+found/x',
      'db1.err',
      'db1.err.1.gz',
      'server-key.pem',
      'my.cnf',
      'db1.pid',
    ]) {
      await put(name)
    }
    expect(await emptiness(layout)).toBe('empty')
  })

  test('is a server’s, half of one, or something else', async () => {
    const { layout, put } = await arrange()
    await put('mysql.ibd')
    expect(await emptiness(layout)).toBe('foreign')
    await put('ibdata1')
    expect(await emptiness(layout)).toBe('data')
    const other = await arrange()
    await other.put('notes.txt')
    expect(await emptiness(other.layout)).toBe('foreign')
  })

  test('that is not there is a mistake, not an empty one', async () => {
    const { layout } = await arrange()
    await expect(emptiness({ ...layout, datadir: '/no/such' })).rejects.toMatchObject({ type: 'InvalidConfig' })
  })
})

test('files that mysqld renames while they are looked for are left out; of a stopped server that is an error', async () => {
  const { datadir, layout, put } = await arrange()
  for (const name of ['ibdata1', 'ibdata2', 'mysql.ibd', '#innodb_redo/#ib_redo12', 'commerce/t.ibd']) await put(name)
  const redo = join(datadir, '#innodb_redo', '#ib_redo12')
  const stopping = new AbortController()
  const renaming = (async () => {
    while (!stopping.signal.aborted) {
      renameSync(redo, `${redo}_tmp`)
      await turn()
      renameSync(`${redo}_tmp`, redo)
      await turn()
    }
  })()
  const outcomes = new Set<string>()
  for (let tries = 0; outcomes.size < 2 && tries < 10_000; tries += 1) {
    const files = await selectFilesInUse(layout)
    expect(files.filter(({ base }) => base !== 'InnoDBLog')).toHaveLength(4)
    outcomes.add(
      await selectFiles(layout).then(
        () => 'found',
        () => 'gone',
      ),
    )
  }
  stopping.abort()
  await renaming
  // Otherwise nothing was renamed at the wrong moment, and this test says nothing.
  expect(outcomes).toContain('gone')
})
