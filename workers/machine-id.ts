import { readFile } from 'node:fs/promises'
import { hostname } from 'node:os'

/** What tells this machine from a clone of it: the systemd machine id, or the host's name where there is none. */
export async function machineId(): Promise<string> {
  try {
    return (await readFile('/etc/machine-id', 'utf8')).trim() || hostname()
  } catch {
    return hostname()
  }
}
