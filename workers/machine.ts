import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import type { Machine } from '../model/machine.ts'

/**
 * What tells this machine from a clone of it: systemd's machine id, hashed since it is nobody else's business (machine-id(5)); or the
 * host's name where there is none, as in most containers.
 */
export async function thisMachine(): Promise<Machine> {
  const host = hostname()
  const text = (await readFile('/etc/machine-id', 'utf8').catch(() => '')).trim()
  const id = /^[0-9a-f]{32}$/.test(text)
    ? createHash('sha256').update(`tabletkeeper ${text}`).digest('hex').slice(0, 32)
    : host
  return { id, host }
}
