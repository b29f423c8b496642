import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Scenery } from './chaos-world.ts'

/** Makes the victim a new, empty tablet; what its agent keeps for itself stays, as that agent runs on. */
export async function emptyVictim({ victim, supervisor }: Scenery): Promise<void> {
  await supervisor.paused(async () => {
    await victim.stop()
    for (const root of [victim.datadir, join(victim.directory, 'binlog'), join(victim.directory, 'relay')]) {
      const names = (await readdir(root)).filter((name) => name !== '.tabletkeeper')
      for (const name of names) await rm(join(root, name), { recursive: true })
    }
  })
}
