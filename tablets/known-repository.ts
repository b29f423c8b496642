import { readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { TabletkeeperError } from '../model/errors.ts'
import type { ObjectStore } from '../storage/object-store.ts'

const pathBeside = (leasePath: string): string => join(dirname(leasePath), 'repository')

/**
 * Refuses a store that is not the one to which this tablet was backed up before: after a reboot an unmounted mount point looks like a new
 * and empty repository, and backups would go to the host's own disk.
 * @throws StorageUnavailable
 */
export async function assertKnownRepository(leasePath: string, store: ObjectStore): Promise<void> {
  const known = await readFile(pathBeside(leasePath), 'utf8').then(
    (text) => text.trim(),
    () => '',
  )
  if (known === '') return
  const present = await store.repository()
  if (present.state === 'ready' && present.id === known) return
  const found = present.state === 'new' ? 'is empty' : `is repository ${present.id ?? 'without an id'}`
  throw new TabletkeeperError(
    'StorageUnavailable',
    `${store.description} ${found}, and this tablet's backups are in repository ${known}`,
    {
      hint: `Nothing was changed. Is it mounted? If the repository moved on purpose, remove ${pathBeside(leasePath)} on the tablet's host.`,
      retryable: false,
    },
  )
}

/** Remembers where this tablet's backups are. */
export async function rememberRepository(leasePath: string, store: ObjectStore): Promise<void> {
  const present = await store.repository()
  if (present.state !== 'ready' || present.id === null) return
  await writeFile(pathBeside(leasePath), `${present.id}\n`, { mode: 0o600 })
}
