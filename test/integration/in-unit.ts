import { existsSync } from 'node:fs'
import { access, constants, mkdir, rmdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Where systemd keeps its control groups: version 2 of them, or its own hierarchy beside version 1. */
const ROOTS = ['/sys/fs/cgroup/systemd', '/sys/fs/cgroup']

async function writableRoot(): Promise<string | undefined> {
  for (const root of ROOTS) {
    const list = join(root, 'cgroup.procs')
    if (
      existsSync(list) &&
      (await access(list, constants.W_OK).then(
        () => true,
        () => false,
      ))
    )
      return root
  }
  return undefined
}

const root = await writableRoot()

/** Why no process can be put in a unit here; undefined when it can. */
export const NO_UNITS = root === undefined ? 'control groups cannot be written here' : undefined

/** Puts a process where systemd would have it as a service, until that is disposed of. */
export async function inUnit(pid: number, unit: string): Promise<AsyncDisposable> {
  if (root === undefined) throw new Error(NO_UNITS)
  const top = root
  const group = join(top, unit)
  await mkdir(group)
  await writeFile(join(group, 'cgroup.procs'), String(pid))
  return {
    [Symbol.asyncDispose]: async () => {
      await writeFile(join(top, 'cgroup.procs'), String(pid))
      await rmdir(group)
    },
  }
}
