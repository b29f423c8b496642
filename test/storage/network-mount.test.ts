import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe } from 'vitest'
import { mountSshfs, obstacleToSshfs, type SshfsMount } from '../../sandbox/sshfs-mount.ts'
import { FileStore } from '../../storage/file/file.ts'
import { describeObjectStore } from './conformance.ts'

const obstacle = await obstacleToSshfs()

// Hosts of one network path see each other's writes at once: what they may cache is their mount's business, not the store's.
const UNCACHED = 'dir_cache=no,attr_timeout=0,entry_timeout=0,ac_attr_timeout=0,negative_timeout=0'

describe.skipIf(obstacle !== undefined)(
  `over the network${obstacle === undefined ? '' : ` (skipped: ${obstacle})`}`,
  () => {
    describe.each([
      ['two hosts that mount one path by sshfs', UNCACHED],
      ['two hosts whose mount knows no hard links', `${UNCACHED},disable_hardlink`],
    ])('%s', (name, options) => {
      let mount: SshfsMount
      let tests = 0

      beforeAll(async () => {
        mount = await mountSshfs({ hosts: 2, options })
      })

      afterAll(async () => {
        await mount[Symbol.asyncDispose]()
      })

      describeObjectStore(name, async () => {
        tests += 1
        const root = String(tests)
        await mkdir(join(mount.server, root))
        let opened = 0
        return { open: () => new FileStore(join(mount.hosts[opened++ % 2] ?? '', root)) }
      })
    })
  },
)
