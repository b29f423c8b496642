import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { keptEntries } from '../../mysql/data/data-roots.ts'
import { askMysqld, programVersion, validateConfig } from '../../mysql/process/mysqld-program.ts'
import { layoutOf, readServerLayout } from '../../mysql/settings/my-cnf.ts'
import { parseGivenOption, parseOptionTable } from '../../mysql/settings/server-options.ts'
import { provideMysql } from '../../sandbox/provide-mysql.ts'
import { temporaryDirectory } from '../storage/temporary-directory.ts'
import { arrangeTablet, START } from './real-tablet.ts'

describe('the layout is what the server itself says when it runs', () => {
  test('with everything in its own place, behind symbolic links, and a persisted server_id', async () => {
    const elsewhere = await temporaryDirectory()
    for (const name of ['system', 'redo', 'binary', 'relay']) await mkdir(join(elsewhere, name))
    await symlink(join(elsewhere, 'redo'), join(elsewhere, 'link-to-redo'))
    const { tablet, mysqld } = await arrangeTablet({
      empty: true,
      settings: {
        innodb_data_home_dir: join(elsewhere, 'system'),
        innodb_log_group_home_dir: join(elsewhere, 'link-to-redo'),
        'log-bin': join(elsewhere, 'binary/bin'),
        'relay-log': join(elsewhere, 'relay/relay.with-suffix'),
        'relay-log-index': 'own.index',
      },
    })
    await mkdir(tablet.datadir)
    await askMysqld(tablet.mysqld, [`--defaults-file=${tablet.defaultsFile}`, '--initialize-insecure'])
    await mysqld.start(START)
    await tablet.query('SET PERSIST server_id = 4711')
    const layout = await readServerLayout(tablet.mysqld, tablet.defaultsFile)
    expect(layout).toMatchObject({
      datadir: tablet.datadir,
      innodbDataHome: join(elsewhere, 'system'),
      innodbLogHome: join(elsewhere, 'redo'),
      doublewriteDirectory: join(elsewhere, 'system'),
      undoDirectory: tablet.datadir,
      systemTablespace: join(elsewhere, 'system/ibdata1'),
      systemFiles: ['ibdata1'],
    })
    const [said] =
      await tablet.query(`SELECT @@log_bin_basename AS 'binlog.basename', @@log_bin_index AS 'binlog.index',
      @@relay_log_basename AS 'relayLog.basename', @@relay_log_index AS 'relayLog.index', @@port AS port, @@socket AS socket,
      @@pid_file AS pidFile, @@log_error AS errorLog, @@server_id AS serverId, @@innodb_data_file_path AS dataFilePath`)
    for (const [path, value] of Object.entries(said ?? {})) expect(layout).toHaveProperty(path, value)
  })

  test('with everything in the data directory', async () => {
    const { layout, tablet } = await arrangeTablet({
      empty: true,
      settings: { 'log-bin': 'binlog', 'relay-log': 'relay' },
    })
    expect(layout).toMatchObject({
      innodbDataHome: tablet.datadir,
      innodbLogHome: tablet.datadir,
      binlog: { basename: join(tablet.datadir, 'binlog'), index: join(tablet.datadir, 'binlog.index') },
      relayLog: { basename: join(tablet.datadir, 'relay'), index: join(tablet.datadir, 'relay.index') },
      serverId: 101,
      port: tablet.port,
    })
  })
})

describe('how options become paths', () => {
  const BASE: [string, string][] = [
    ['datadir', '/data/'],
    ['innodb-data-file-path', 'ibdata1:12M:autoextend'],
    ['port', '3306'],
    ['server-id', '1'],
  ]
  const layout = (...options: [string, string][]) =>
    layoutOf(new Map([...BASE, ...options]), '/etc/my.cnf', 'db1.example.com')

  test.each<[string, string | undefined, string | undefined]>([
    ['none, so that it goes to standard error', undefined, undefined],
    ['standard error by name', 'stderr', undefined],
    ['no value', '', '/data/db1.err'],
    ['a name without extension', 'errors', '/data/errors.err'],
    ['a path', '/var/log/mysql/error.log', '/var/log/mysql/error.log'],
  ])('error log: %s', (_what, given, expected) => {
    expect(layout(...(given === undefined ? [] : ([['log-error', given]] as [string, string][]))).errorLog).toBe(
      expected,
    )
  })

  test('binary logs: switched off, cut at the first dot, with an index of its own or beside them', () => {
    expect(layout().binlog).toBeUndefined()
    expect(layout(['log-bin', '']).binlog?.basename).toBe('/data/db1-bin')
    expect(layout(['log-bin', '/logs/a.b'], ['log-bin-index', 'a.index']).binlog).toEqual({
      basename: '/logs/a',
      index: '/logs/a.index',
    })
    expect(layout(['log-bin', '/logs/bin'], ['log-bin-index', 'own.index']).binlog?.index).toBe('/data/own.index')
  })

  test('what is no data stays where it is, in the data directory too', () => {
    const { keepDirectories } = keptEntries(
      layout(
        ['tmpdir', '/data/tmp:/tmp'],
        ['secure-file-priv', 'NULL'],
        ['replica-load-tmpdir', ''],
        ['log-error', '/data/log/mysql/error.log'],
        ['socket', '/data/run/mysql.sock'],
        ['slow-query-log-file', 'slow.log'],
      ),
    )
    expect(keepDirectories.toSorted()).toEqual(['log', 'run', 'tmp'])
  })

  test('several system files, of which the first is the one that mysqld locks', () => {
    const { systemFiles, systemTablespace } = layout(['innodb-data-file-path', 'sys1:12M;sys2:50M:autoextend:max:1G'])
    expect([systemFiles, systemTablespace]).toEqual([['sys1', 'sys2'], '/data/sys1'])
  })

  test('what cannot be backed up, or is no server, is told', () => {
    expect(() => layout(['innodb-data-file-path', '/raw/ibdata1:12M'])).toThrow(/names paths/)
    expect(() => layout(['port', 'many'])).toThrow(/no number as 'port'/)
    expect(() => layoutOf(new Map(), '/etc/my.cnf', 'db1')).toThrow(/has no 'datadir'/)
  })
})

test('options are read from the table at the end of the help text, and from what is given', () => {
  const help = `  --port=#\nVariables (--variable-name=value)\nand boolean options\n---- ----\nport${' '.repeat(57)}3307\nsocket   my sock\nlog-bin  (No default value)\nempty\n\nTo see what values`
  expect(Object.fromEntries(parseOptionTable(help))).toEqual({ port: '3307', socket: 'my sock', empty: '' })
  expect(parseOptionTable('no table').size).toBe(0)
  const printed =
    'mysqld would have been started with:\n--log_error=/a --log-error-verbosity=3 --loose-log-error=/b c.log --user=me \n'
  expect(parseGivenOption(printed, 'log-error')).toBe('/b c.log')
  expect(parseGivenOption(printed, 'user')).toBe('me')
  expect(parseGivenOption('--log-error --port=1', 'log-error')).toBe('')
  expect(parseGivenOption(printed, 'port')).toBeUndefined()
})

describe('mistakes in the configuration are told as such', () => {
  test('no such program, no such file, no server', async () => {
    const { mysqld, version } = await provideMysql()
    expect(await programVersion(mysqld)).toBe(version)
    await expect(programVersion('/no/mysqld')).rejects.toMatchObject({ type: 'InvalidConfig' })
    await expect(programVersion('/bin/echo')).rejects.toMatchObject({
      message: expect.stringContaining('is no MySQL server'),
    })
    await expect(readServerLayout(mysqld, '/no/my.cnf')).rejects.toMatchObject({
      type: 'InvalidConfig',
      message: expect.stringContaining('/no/my.cnf'),
    })
  })

  test('an option that the next start would refuse', async () => {
    const { tablet } = await arrangeTablet({ empty: true })
    await mkdir(tablet.datadir)
    await validateConfig(tablet.mysqld, tablet.defaultsFile)
    await writeFile(tablet.defaultsFile, '[mysqld]\nuser=root\nsecure-file-priv=NULL\ninnodb_no_such=1\n')
    await expect(validateConfig(tablet.mysqld, tablet.defaultsFile)).rejects.toMatchObject({
      type: 'Refused',
      message: expect.stringContaining('innodb_no_such'),
    })
  })
})
