import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { waitUntil } from '../../sandbox/wait-until.ts'
import { runCli, startCli } from '../client/command-line.ts'

it('tabletkeeper dev prints what to type in a second terminal, which works, and ends in order', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'tabletkeeper-dev-'))
  const dev = startCli(['dev', '--directory', directory])
  try {
    await waitUntil('dev is ready', async () => dev.stderr().includes('Ctrl-C stops all of it.'), 150_000)
    const [, exports = ''] = /^ {2}export (.*)$/m.exec(dev.stderr()) ?? []
    const environment = Object.fromEntries(exports.split(' ').map((pair) => pair.split('=')))
    const check = await runCli(['check'], environment)
    expect(check).toMatchObject({ status: 0, stderr: '6 OK, 1 WARN, 0 FAILED\n' })
  } finally {
    dev.child.kill('SIGINT')
    const { status, stderr } = await dev.ended
    expect(stderr).toContain('stopped: everything is kept, tabletkeeper dev starts it again.')
    expect(status).toBe(0)
    await rm(directory, { recursive: true })
  }
}, 240_000)
