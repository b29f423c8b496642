import { chown, readdir, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parseAlias } from '../../model/alias.ts'
import { runCommand } from '../../sandbox/command.ts'
import { lockAsAgent } from '../../tablets/agent-lock.ts'
import { LeaseFile } from '../../tablets/lease-file.ts'
import { recordReturn } from '../../tablets/return-record.ts'
import { NO_MOUNTS, smallFileSystem } from '../storage/mounts.ts'
import { temporaryDirectory } from '../storage/temporary-directory.ts'
import { LEASE } from './sample-lease.ts'

test.skipIf(NO_MOUNTS !== undefined)('a lease that does not fit on the disk leaves nothing behind', async () => {
  const disk = await smallFileSystem(1024)
  const { bavail, bsize } = await statfs(disk)
  await runCommand('fallocate', ['-l', String(bavail * bsize), join(disk, 'filler')])
  const file = new LeaseFile(disk)
  const writing = file.replace(LEASE)
  await expect(writing).rejects.toMatchObject({ code: 'ENOSPC' })
  expect(await readdir(disk)).toEqual(['filler'])
})

test.runIf(process.getuid?.() === 0)(
  'what root writes into the private folder can be read by the agent, whose folder it is',
  async () => {
    const folder = await temporaryDirectory()
    await chown(folder, 4711, 4712)
    const file = new LeaseFile(folder)
    const expectReadable = async (...names: string[]) => {
      expect((await readdir(folder)).sort()).toEqual(names)
      for (const name of names) expect(await stat(join(folder, name))).toMatchObject({ uid: 4711, gid: 4712 })
    }
    await file.create(LEASE)
    await expectReadable('lease.json')
    await file.replace(LEASE)
    await recordReturn(file.path, { token: LEASE.token, by: 'person', at: LEASE.since, details: [] })
    await using _ = await lockAsAgent(folder, parseAlias(LEASE.tablet))
    await expectReadable('agent.lock', 'last-return.json', 'lease.json')
  },
)
