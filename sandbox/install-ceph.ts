import { glob, mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { TabletkeeperError } from '../model/errors.ts'
import { unpackFromSid } from './private-apt.ts'

/** What a cluster of one monitor, one OSD and one gateway is made of. */
export const CEPH_PROGRAMS = ['ceph-mon', 'ceph-osd', 'monmaptool', 'osdmaptool', 'radosgw', 'radosgw-admin'] as const

const PACKAGES = ['ceph-mon', 'ceph-osd', 'radosgw']
/** Python is for the manager and for `ceph`; the rest is for disks and for hosts that are booted. */
const NOT_NEEDED =
  /^(lib)?python3|^(systemd|binutils|sudo|passwd|lvm2|xfsprogs|nvme|smartmontools|e2fsprogs|cryptsetup|media-types|tzdata|openssl|parted|sensible|debconf|adduser|init-system|procps|perl)/

/**
 * Installs Ceph from Debian sid into `directory`, which may be moved afterwards: `root/` as packaged, with its own C library, and in
 * `bin/` a script for each program that starts it there.
 * @throws NotFound with what apt said
 */
export async function installCeph(directory: string): Promise<void> {
  const root = join(directory, 'root')
  await unpackFromSid(PACKAGES, root, NOT_NEEDED)
  await rm(join(root, 'usr', 'share'), { recursive: true, force: true })
  for (const name of await readdir(join(root, 'usr', 'bin'))) {
    if (!CEPH_PROGRAMS.some((program) => program === name))
      await rm(join(root, 'usr', 'bin', name), { recursive: true })
  }
  const loader = await only(root, 'usr/lib/*/ld-linux-*.so.*')
  const libraries = dirname(loader)
  await mkdir(join(directory, 'bin'))
  for (const name of CEPH_PROGRAMS) {
    const path = `"$root/${libraries}":"$root/${libraries}/ceph"`
    await writeFile(
      join(directory, 'bin', name),
      `#!/bin/sh\nroot=$(dirname "$(dirname "$(readlink -f "$0")")")/root\nexec "$root/${loader}" --library-path ${path} "$root/usr/bin/${name}" "$@"\n`,
      { mode: 0o755 },
    )
  }
}

/** Where the plugins of the Ceph lie whose programs are in `bin`; undefined for one of the system's, which knows it. */
export async function cephPlugins(bin: string): Promise<string | undefined> {
  const root = join(dirname(bin), 'root')
  for await (const path of glob('usr/lib/*/rados-classes', { cwd: root })) return join(root, dirname(path))
  return undefined
}

async function only(root: string, pattern: string): Promise<string> {
  for await (const path of glob(pattern, { cwd: root })) return relative(root, join(root, path))
  throw new TabletkeeperError('NotFound', `the packages of Ceph hold no ${pattern}`)
}
