import { chmod, mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { messageOf, TabletkeeperError } from '../model/errors.ts'
import { findProgram, runCommand } from './command.ts'

/** A directory that several hosts mount over the network, until it is disposed of. */
export interface SshfsMount extends AsyncDisposable {
  /** Where it lies on its server. */
  readonly server: string
  /** Where each of the hosts has it. */
  readonly hosts: readonly string[]
}

export interface SshfsOptions {
  /** How many hosts mount it. Default: 1. */
  readonly hosts?: number
  /** What sshfs takes after `-o`. */
  readonly options?: string
}

/** Why none can be made here, or undefined: it takes sshfs, an SFTP server, root and /dev/fuse. */
export async function obstacleToSshfs(): Promise<string | undefined> {
  try {
    await using _ = await mountSshfs()
    return undefined
  } catch (error) {
    return messageOf(error)
  }
}

/**
 * Mounts a new directory by sshfs. The program at the other end is the real one; in place of ssh and a network there is a pipe.
 * @throws NotFound where a program is missing, or with what sshfs said
 */
export async function mountSshfs({ hosts = 1, options = '' }: SshfsOptions = {}): Promise<SshfsMount> {
  const sshfs = await provide('sshfs', 'sshfs', [])
  const sftp = process.env['SFTP_SERVER'] ?? (await provide('sftp-server', 'openssh-sftp-server', BESIDE_PATH))
  if ((await stat('/dev/fuse').catch(() => undefined)) === undefined) {
    throw new TabletkeeperError('NotFound', 'there is no /dev/fuse: file systems cannot be mounted here')
  }
  const directory = await mkdtemp(join(tmpdir(), 'tabletkeeper-sshfs-'))
  const server = join(directory, 'server')
  const mounts: string[] = []
  const dispose = async () => {
    for (const path of mounts.splice(0)) await runCommand('umount', [path])
    await rm(directory, { recursive: true, force: true })
  }
  try {
    await mkdir(server)
    const ssh = join(directory, 'ssh')
    await writeFile(ssh, `#!/bin/sh\nexec '${sftp}'\n`)
    await chmod(ssh, 0o755)
    for (let host = 1; host <= hosts; host++) {
      const path = join(directory, `host-${host}`)
      await mkdir(path)
      const said = [`ssh_command=${ssh}`, ...(options === '' ? [] : [options])].join(',')
      await runCommand(sshfs, ['-o', said, `server:${server}`, path])
      mounts.push(path)
    }
  } catch (error) {
    await dispose()
    throw error
  }
  return { server, hosts: [...mounts], [Symbol.asyncDispose]: dispose }
}

const BESIDE_PATH = ['/usr/lib/openssh', '/usr/libexec/openssh', '/usr/lib/ssh', '/usr/libexec']

async function provide(program: string, name: string, alsoIn: readonly string[]): Promise<string> {
  const found = await findProgram(program, alsoIn)
  if (found !== undefined) return found
  throw new TabletkeeperError('NotFound', `${program} is not on this machine`, { hint: `apt-get install ${name}` })
}
