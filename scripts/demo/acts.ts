import { open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { waitUntil } from '../../sandbox/wait-until.ts'
import { heading, prove, say } from './narrator.ts'
import { proveInService } from './proofs.ts'
import type { Stage } from './stage.ts'

/** An act tells what it does, does it, and returns whether everything that it claims held. */
export async function backUp({ type, replica, shard }: Stage): Promise<boolean> {
  heading('Backing up the replica, in six steps')
  const done = (await type('backup', replica.alias)) === 0
  const listed = (await type('list', shard.shard)) === 0
  return done && listed
}

export async function bootstrapAnother({ type, shard, added }: Stage): Promise<boolean> {
  heading('Writing more rows on the primary, then bringing up a new tablet from the backup')
  await using connection = await shard.primary.connect()
  await connection.query(
    'CREATE TABLE commerce.written_after_the_backup (id INT AUTO_INCREMENT PRIMARY KEY, note TEXT)',
  )
  for (let row = 1; row <= 100; row += 1) {
    await connection.query('INSERT INTO commerce.written_after_the_backup (note) VALUES (?)', [`row ${row}`])
  }
  say('100 rows that no backup has')
  return (await type('bootstrap', added.alias, '--type', 'rdonly')) === 0
}

export async function compareAll({ shard, replica, added }: Stage): Promise<boolean> {
  heading('Comparing every table of the three tablets')
  await shard.awaitReplicated(replica)
  await shard.awaitReplicated(added)
  const expected = await shard.checksums(shard.primary)
  let held = true
  for (const tablet of [replica, added]) {
    const found = await shard.checksums(tablet)
    const different = [...expected].filter(([table, checksum]) => found.get(table) !== checksum).map(([table]) => table)
    const equal = different.length === 0 && found.size === expected.size
    held =
      prove(
        `${tablet.alias} equals ${shard.primary.alias}`,
        equal,
        equal ? `${found.size} tables` : different.join(', '),
      ) && held
  }
  return held
}

export async function failAtStepFour(stage: Stage): Promise<boolean> {
  heading('Making a backup fail at step 4: storage is full')
  if (!stage.storageCanBeFilled) {
    say('not shown: filling a small file system takes root or user namespaces, and neither is to be had here')
    return true
  }
  const filler = join(stage.storage, '.filler')
  await fillBut(3, filler)
  const failed = (await stage.type('backup', stage.replica.alias)) !== 0
  await rm(filler)
  const held = prove('the backup failed', failed, failed ? 'as it had to' : 'it said "done"')
  return (await proveInService(stage)) && held
}

export async function terminateInMidCopy(stage: Stage): Promise<boolean> {
  heading('Terminating a backup in mid-copy, as an impatient operator would')
  await stage.restartAgent('backup: { drainTimeout: 2s, snapshot: none, level: 19, concurrency: 1 }')
  say('the agent now compresses as hard as it can, which is slow')
  const run = await stage.keeper.backup({ shard: stage.shard.shard, tablet: stage.replica.alias })
  await waitUntil('the copy to begin', async () => (await run.view()).progress?.current?.step === 'copyFiles')
  await stage.temporalCli('workflow', 'terminate', '--workflow-id', run.workflowId, '--reason', 'impatience')
  const began = Date.now()
  const held = await proveInService(stage)
  say(`   ${((Date.now() - began) / 1000).toFixed(1)} s after the termination; nobody did anything`)
  return (await stage.type('list', stage.shard.shard)) === 0 && held
}

/** Leaves room for the preflight's probe and for the first few files. */
async function fillBut(megabytes: number, path: string): Promise<void> {
  const file = await open(path, 'w')
  const zeros = Buffer.alloc(1024 * 1024)
  let written = 0
  try {
    for (;;) written += (await file.write(zeros)).bytesWritten
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error
    await file.truncate(written - megabytes * zeros.length)
  } finally {
    await file.close()
  }
}
