import { execFile } from 'node:child_process'
import { chown, mkdir, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { parseAlias } from '../../model/alias.ts'
import { privateFolder } from '../../mysql/data/private-folder.ts'
import { provideMysql } from '../../sandbox/provide-mysql.ts'
import { waitUntil } from '../../sandbox/wait-until.ts'
import { lockAsAgent } from '../../tablets/agent-lock.ts'
import { LeaseFile } from '../../tablets/lease-file.ts'
import { thisMachine } from '../../workers/machine.ts'
import { temporaryDirectory } from '../storage/temporary-directory.ts'
import { LEASE } from '../tablets/sample-lease.ts'
import { startCli } from './command-line.ts'

const CLI = join(import.meta.dirname, '../../client/cli.ts')
const AGENT = 4711
/** What lets root do with the files of others as with its own. */
const POWERS = ['chown', 'dac_override', 'dac_read_search', 'fowner']

/** A tablet that a run holds, whose agent and mysqld run as `user`. */
async function heldTablet(user: number, mysqldRan = true) {
  const directory = await temporaryDirectory()
  const datadir = join(directory, 'data')
  await mkdir(datadir, { mode: 0o750 })
  await chown(datadir, user, user)
  const file = new LeaseFile(await privateFolder(datadir))
  const { id: machineId, host } = await thisMachine()
  await file.create({ ...LEASE, machineId, host, mysqldRan })
  const defaultsFile = join(directory, 'my.cnf')
  await writeFile(defaultsFile, `[mysqld]\nuser=root\ndatadir=${datadir}\n`)
  const config = join(directory, 'tabletkeeper.yaml')
  const { mysqld } = await provideMysql()
  await writeFile(
    config,
    `storage: { kind: file, root: ${directory} }
mysql: { mysqld: ${mysqld}, defaultsFile: ${defaultsFile}, replication: { user: repl, passwordFile: /etc/tabletkeeper/repl } }
shards: { commerce/0: { zone1-101: { host: localhost } } }
`,
  )
  const command = ['agent', 'return', 'zone1-101', '--config', config]
  return { datadir, folder: join(datadir, '.tabletkeeper'), file, command }
}

describe.runIf(process.getuid?.() === 0)('agent return, where the agent runs as another user', () => {
  test('says to an ordinary user whose the tablet is, and what to type', async () => {
    const { datadir, command } = await heldTablet(AGENT)
    const powerless = `--bounding-set=${POWERS.map((power) => `-${power}`).join(',')}`
    const typed = promisify(execFile)('setpriv', [powerless, process.execPath, CLI, ...command])
    await expect(typed).rejects.toMatchObject({
      code: 20,
      stdout: '',
      stderr: `error Refused: ${datadir} belongs to user ${AGENT}: type it as root, or as the user that the agent runs as
  sudo tabletkeeper agent return zone1-0000000101
`,
    })
  })

  test('asks, as root, by a request that the agent can read', async () => {
    const { folder, file, command } = await heldTablet(AGENT)
    await using _ = await lockAsAgent(folder, parseAlias(LEASE.tablet))
    const typed = startCli(command)
    const request = join(folder, 'return-requested')
    const owner = async () => (await stat(request).catch(() => undefined))?.uid
    await waitUntil('the request is the agent’s', async () => (await owner()) === AGENT)
    await file.remove()
    expect(await typed.ended).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('returned  zone1-0000000101'),
    })
  })
})

describe('agent return, while an agent looks after the tablet', () => {
  const user = process.getuid?.() ?? 0
  const REQUEST = 'return-requested'

  test('does it itself when that one ends', async () => {
    // Nothing has to be started: there are no data.
    const { folder, file, command } = await heldTablet(user, false)
    const agent = await lockAsAgent(folder, parseAlias(LEASE.tablet))
    const typed = startCli(command)
    await waitUntil('the agent is asked', () => typed.stderr().includes('waiting for the agent of this host'))
    expect(await readdir(folder)).toContain(REQUEST)
    await agent?.release()
    const { status, stdout, stderr } = await typed.ended
    expect({ status, stderr }).toEqual({
      status: 0,
      stderr: expect.stringContaining('the agent has ended: doing it here\n'),
    })
    expect(stdout).toContain('returned  zone1-0000000101')
    expect(await file.read()).toBeUndefined()
    expect(await readdir(folder)).not.toContain(REQUEST)
  })

  test.each(['SIGINT', 'SIGTERM'] as const)('withdraws its request at %s', async (signal) => {
    const { folder, file, command } = await heldTablet(user)
    await using _ = await lockAsAgent(folder, parseAlias(LEASE.tablet))
    const typed = startCli(command)
    await waitUntil('the agent is asked', () => typed.stderr().includes('waiting for the agent of this host'))
    expect(await readdir(folder)).toContain(REQUEST)
    typed.child.kill(signal)
    expect(await typed.ended).toMatchObject({ status: 130, stdout: '' })
    expect(await readdir(folder)).not.toContain(REQUEST)
    expect(await file.read()).toBeDefined()
  })
})
