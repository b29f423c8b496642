import { execFile } from 'node:child_process'
import { appendFile, chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import type { MysqlConfig } from '../../model/config.ts'
import type { Milliseconds } from '../../model/units.ts'
import { MysqlConnection } from '../../mysql/admin/admin.ts'
import { Mysqld, restartPolicy } from '../../mysql/process/process.ts'
import { arrangeTablet, type RealTablet, START, WAIT } from './real-tablet.ts'

const runFile = promisify(execFile)

/** Pids of processes that were started with this tablet's configuration. */
async function processesOf({ tablet }: RealTablet): Promise<string[]> {
  // Its exit status 1 says that there are none.
  const { stdout } = await runFile('pgrep', ['-f', '--', `--defaults-file=${tablet.defaultsFile}`]).catch(
    (error: { code?: unknown }) => {
      if (error.code === 1) return { stdout: '' }
      throw error
    },
  )
  return stdout.split('\n').filter((line) => line !== '')
}

function servedBy({ tablet, layout }: RealTablet, service: MysqlConfig['service']): Mysqld {
  return new Mysqld({ mysqld: tablet.mysqld, defaultsFile: tablet.defaultsFile, layout, service })
}

async function initFile({ tablet }: RealTablet, ...statements: string[]): Promise<string> {
  const path = join(tablet.directory, 'init.sql')
  await writeFile(path, statements.map((statement) => `${statement};\n`).join(''))
  return `--init-file=${path}`
}

describe('mysqld that the agent runs itself', () => {
  test('starts once, with its arguments, and stops by SHUTDOWN or SIGTERM, whoever asks how often', async () => {
    const real = await arrangeTablet()
    const { tablet, mysqld } = real
    const options = { ...START, extraArguments: ['--max-connections=33'] }
    await Promise.all([mysqld.start(options), mysqld.start(options)])
    await mysqld.start(START)
    expect(await processesOf(real)).toHaveLength(1)
    expect(await tablet.query('SELECT @@max_connections AS n')).toEqual([{ n: 33 }])
    {
      await using connection = await MysqlConnection.connect({ socketPath: tablet.socket }, { user: 'tabletkeeper' })
      await mysqld.stop(connection, WAIT)
    }
    expect(await processesOf(real)).toEqual([])
    await mysqld.start(START)
    await mysqld.stop(undefined, WAIT)
    await mysqld.stop(undefined, WAIT)
    await mysqld.stopped(WAIT)
    expect(await processesOf(real)).toEqual([])
  })

  test('is not told to stop by a stop that was aborted before', async () => {
    const { tablet, mysqld } = await arrangeTablet()
    await mysqld.start(START)
    const aborted = { ...WAIT, signal: AbortSignal.abort() }
    await using connection = await MysqlConnection.connect({ socketPath: tablet.socket }, { user: 'tabletkeeper' })
    await expect(mysqld.stop(connection, aborted)).rejects.toThrow('aborted')
    await expect(mysqld.stop(undefined, aborted)).rejects.toThrow('aborted')
    expect(await tablet.query('SELECT 1 AS n')).toEqual([{ n: 1 }])
    expect(await readFile(tablet.errorLog, 'utf8')).not.toContain('shutdown')
    await mysqld.stop(connection, WAIT)
  })

  test('does not wait for the files of another one that was started in the same moment', async () => {
    const real = await arrangeTablet()
    const { tablet, layout } = real
    const late = join(tablet.directory, 'late-mysqld')
    // While the other one starts, it lets go of its locks for a moment: ours would get them.
    const script = `#!/bin/sh
initialized() { cat ${tablet.errorLog} 2> /dev/null | grep -c MY-013577; }
before=$(initialized)
while [ "$(initialized)" = "$before" ]; do sleep 0.02; done
exec ${tablet.mysqld} "$@"
`
    await writeFile(late, script, { mode: 0o755 })
    const mysqld = new Mysqld({
      mysqld: late,
      defaultsFile: tablet.defaultsFile,
      layout,
      service: { kind: 'own' },
    })
    await Promise.all([mysqld.start(START), tablet.start()])
    await expect.poll(() => processesOf(real)).toHaveLength(1)
    expect(await processesOf(real)).toEqual([String(await tablet.pid())])
    await mysqld.stop(undefined, WAIT)
    expect(await processesOf(real)).toEqual([])
  })

  test('lives on when the agent ends', async () => {
    const { tablet, mysqld } = await arrangeTablet()
    const agent = `
      const { readServerLayout } = await import('./mysql/settings/my-cnf.ts')
      const { Mysqld } = await import('./mysql/process/process.ts')
      const [mysqld, defaultsFile] = ${JSON.stringify([tablet.mysqld, tablet.defaultsFile])}
      const layout = await readServerLayout(mysqld, defaultsFile)
      const server = new Mysqld({ mysqld, defaultsFile, layout, service: { kind: 'own' } })
      await server.start({ extraArguments: [], timeout: 45000, signal: new AbortController().signal })`
    await runFile(process.execPath, ['--input-type=module', '--eval', agent])
    expect(await mysqld.isRunning()).toBe(true)
    expect(await tablet.query('SELECT 1 AS one')).toHaveLength(1)
  })

  test('that ends while it starts is a failure that quotes its log, from this start only', async () => {
    const { tablet, mysqld } = await arrangeTablet()
    await appendFile(tablet.errorLog, 'an older line\n')
    await appendFile(tablet.defaultsFile, 'innodb_page_size=32k\n')
    const failure = await mysqld.start(START).catch((error: unknown) => error)
    expect(failure).toMatchObject({
      type: 'MysqldFailed',
      message: expect.stringMatching(/did not start: it ended with exit status 1\n(.|\n)*page size/i),
      hint: expect.stringContaining(tablet.errorLog),
    })
    expect(String(failure)).not.toContain('an older line')
  })

  test('that takes too long is left alone, and said to be slow; an aborted wait ends at once', async () => {
    const { mysqld } = await arrangeTablet()
    await expect(mysqld.start({ ...START, timeout: 1 as Milliseconds })).rejects.toThrow(/did not start within/)
    await expect(mysqld.start({ ...START, signal: AbortSignal.abort() })).rejects.toThrow(/abort/)
    await mysqld.start(START)
    expect(await mysqld.isRunning()).toBe(true)
    await expect(mysqld.stopped({ ...WAIT, timeout: 1 as Milliseconds })).rejects.toThrow(/not killed|still runs/)
  })

  test('has executed its init file when it has started', async () => {
    const real = await arrangeTablet()
    const argument = await initFile(real, 'SET sql_log_bin = 0', 'CREATE USER made@localhost')
    await real.mysqld.start({ ...START, extraArguments: [argument] })
    expect(await real.tablet.query("SELECT user FROM mysql.user WHERE user = 'made'")).toHaveLength(1)
  })

  test('whose init file fails is stopped again, and the statement’s error is told', async () => {
    const real = await arrangeTablet()
    const argument = await initFile(real, "CREATE USER made@localhost IDENTIFIED WITH no_such AS 'x'", 'DO 1')
    await expect(real.mysqld.start({ ...START, extraArguments: [argument] })).rejects.toMatchObject({
      type: 'MysqldFailed',
      retryable: false,
      message: expect.stringMatching(/init file: .*no_such/),
    })
    expect(await processesOf(real)).toEqual([])
  })

  test('that is no program is a mistake in the configuration', async () => {
    const { tablet, layout } = await arrangeTablet({ empty: true })
    await mkdir(layout.datadir)
    const absent = new Mysqld({
      mysqld: '/no/such/mysqld',
      defaultsFile: tablet.defaultsFile,
      layout,
      service: { kind: 'own' },
    })
    await expect(absent.start(START)).rejects.toMatchObject({ type: 'InvalidConfig' })
    expect(await absent.isRunning()).toBe(false)
  })
})

describe('mysqld that commands start and stop', () => {
  const commandsOf = ({ tablet }: RealTablet) => ({
    kind: 'commands' as const,
    start: `${tablet.mysqld} --defaults-file=${tablet.defaultsFile} &`,
    stop: `kill "$(cat ${join(tablet.directory, 'run/mysqld.pid')})"`,
  })

  test('is up after start and gone after stop; an init file is executed before, by a mysqld that nobody can reach', async () => {
    const real = await arrangeTablet()
    const mysqld = servedBy(real, commandsOf(real))
    const argument = await initFile(real, 'SET sql_log_bin = 0', 'CREATE USER made@localhost')
    await mysqld.start({ ...START, extraArguments: [argument] })
    expect(await real.tablet.query("SELECT user FROM mysql.user WHERE user = 'made'")).toHaveLength(1)
    expect(await real.tablet.query('SELECT @@skip_networking AS off, @@init_file AS f')).toEqual([{ off: 0, f: null }])
    await mysqld.stop(undefined, WAIT)
    expect(await processesOf(real)).toEqual([])
  })

  test('fails with the command that failed', async () => {
    const real = await arrangeTablet()
    const mysqld = servedBy(real, { kind: 'commands', start: 'exit 3', stop: 'exit 4' })
    await expect(mysqld.start(START)).rejects.toThrow(/sh -c exit 3 ended with exit status 3/)
    await expect(mysqld.stop(undefined, WAIT)).rejects.toThrow(/sh -c exit 4 ended with exit status 4/)
  })
})

describe('mysqld that systemd runs (a script stands in for systemctl: no systemd can be had here)', () => {
  async function arrangeSystemctl(real: RealTablet): Promise<void> {
    const { tablet } = real
    const pidFile = join(tablet.directory, 'run/mysqld.pid')
    const script = `#!/bin/sh
case "$1 $3" in
  "start mysql-test") ${tablet.mysqld} --defaults-file=${tablet.defaultsFile} & ;;
  "stop mysql-test") kill "$(cat ${pidFile})"; while [ -e ${pidFile} ]; do sleep 0.1; done ;;
  "start mysql-broken" | "stop mysql-other") exit 0 ;;
  show*) case "$*" in
    *ActiveState*broken) echo failed ;;
    *ActiveState*) echo active ;;
    *mysql-test) printf 'Restart=on-failure\\nLoadState=loaded\\n' ;;
    *) printf 'Restart=no\\nLoadState=not-found\\n' ;;
  esac ;;
  *) exit 5 ;;
esac
`
    const directory = join(tablet.directory, 'programs')
    await mkdir(directory)
    await writeFile(join(directory, 'systemctl'), script)
    await chmod(join(directory, 'systemctl'), 0o755)
    vi.stubEnv('PATH', `${directory}:${process.env['PATH']}`)
    onTestFinished(() => {
      vi.unstubAllEnvs()
    })
  }

  test('is started and stopped by its unit, whose restart policy is known', async () => {
    const real = await arrangeTablet()
    await arrangeSystemctl(real)
    const mysqld = servedBy(real, { kind: 'systemd', unit: 'mysql-test' })
    await mysqld.start(START)
    expect(await mysqld.isRunning()).toBe(true)
    await expect(servedBy(real, { kind: 'systemd', unit: 'mysql-other' }).stop(undefined, WAIT)).rejects.toMatchObject({
      type: 'MysqldFailed',
      retryable: false,
      message: expect.stringContaining('it is not in that unit'),
    })
    await mysqld.stop(undefined, WAIT)
    expect(await processesOf(real)).toEqual([])
    expect(await restartPolicy('mysql-test')).toBe('on-failure')
    await expect(restartPolicy('mysqld-typo')).rejects.toMatchObject({
      type: 'InvalidConfig',
      message: expect.stringContaining('not-found'),
    })
    const broken = servedBy(real, { kind: 'systemd', unit: 'mysql-broken' })
    await expect(broken.start(START)).rejects.toThrow(/the unit mysql-broken is failed/)
  })
})
