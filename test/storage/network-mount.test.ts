import { execFile, execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe } from 'vitest'
import { FileStore } from '../../storage/file.ts'
import { describeObjectStore } from './conformance.ts'

const run = promisify(execFile)

const SFTP_SERVERS = ['/usr/lib/openssh/sftp-server', '/usr/libexec/openssh/sftp-server', '/usr/lib/ssh/sftp-server']
const sftpServer = process.env['SFTP_SERVER'] ?? SFTP_SERVERS.find((path) => existsSync(path))
const missing = sftpServer === undefined ? 'no sftp-server' : reasonAgainstSshfs()

// Hosts of one network path see each other's writes at once: what they may cache is their mount's business, not the store's.
const UNCACHED = 'dir_cache=no,attr_timeout=0,entry_timeout=0,ac_attr_timeout=0,negative_timeout=0'

describe.skipIf(missing !== undefined)(
  `over the network${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    describe.each([
      ['two hosts that mount one path by sshfs', UNCACHED],
      ['two hosts whose mount knows no hard links', `${UNCACHED},disable_hardlink`],
    ])('%s', (name, options) => {
      let base: string
      const hosts = ['host-1', 'host-2'] as const
      let tests = 0

      beforeAll(async () => {
        base = await mkdtemp(join(tmpdir(), 'tabletkeeper-network-'))
        await mkdir(join(base, 'server'))
        // In place of ssh: the program at its other end, without a network between.
        const ssh = join(base, 'ssh')
        await writeFile(ssh, `#!/bin/sh\nexec '${sftpServer}'\n`)
        await chmod(ssh, 0o755)
        for (const host of hosts) {
          await mkdir(join(base, host))
          await run('sshfs', [
            '-o',
            `ssh_command=${ssh},${options}`,
            `server:${join(base, 'server')}`,
            join(base, host),
          ])
        }
      })

      afterAll(async () => {
        for (const host of hosts) await run('umount', [join(base, host)])
        await rm(base, { recursive: true })
      })

      describeObjectStore(name, async () => {
        tests += 1
        const root = String(tests)
        await mkdir(join(base, 'server', root))
        let opened = 0
        return { open: () => new FileStore(join(base, hosts[opened++ % 2] ?? hosts[0], root)) }
      })
    })
  },
)

function reasonAgainstSshfs(): string | undefined {
  try {
    execFileSync('sshfs', ['--version'], { stdio: 'pipe' })
    return existsSync('/dev/fuse') && process.getuid?.() === 0 ? undefined : 'mounting takes root and /dev/fuse'
  } catch {
    return 'no sshfs'
  }
}
