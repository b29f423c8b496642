import { describe, expect, test } from 'vitest'
import { inputFor, lookUp, type WantedBackup } from '../../client/restore-lookup.ts'
import { GtidSet } from '../../model/gtid-set.ts'
import { formatManifest } from '../../model/manifest.ts'
import { parsePosition, positionOf } from '../../model/position.ts'
import { FileStore } from '../../storage/file/file.ts'
import { manifestOf, nameAt, SHARD, storeBackup } from '../storage/sample-backup.ts'
import { ofType } from '../storage/store-under-test.ts'
import { temporaryDirectory } from '../storage/temporary-directory.ts'
import { aReport } from './a-report.ts'

const PERCONA = 'Ver 8.4.7-7 Percona Server (GPL), Release 7, Revision 1f4b6ac8'
const LATEST = { backup: undefined, before: undefined }

describe('what a restore is told that it would use', () => {
  test('is the backup of a Percona Server for a tablet that runs one, and none for MySQL', async () => {
    const store = new FileStore(await temporaryDirectory())
    const name = nameAt('000001')
    await storeBackup(store, SHARD, name, formatManifest(manifestOf(SHARD, name, { MySQLVersion: PERCONA })))
    const { versionString: serverVersion } = aReport({ version: '8.4.7', versionString: PERCONA })
    expect(await lookUp(store, SHARD, LATEST, { serverVersion })).toMatchObject({ name })
    const mysql = { serverVersion: 'Ver 8.4.7 MySQL Community Server' }
    await expect(lookUp(store, SHARD, LATEST, mysql)).rejects.toThrow(ofType('IncompatibleVersion'))
  })

  test('is no backup that holds what the primary never had, though nobody can tell the version', async () => {
    const store = new FileStore(await temporaryDirectory())
    const sound = manifestOf(SHARD, nameAt('000001'))
    const Position = positionOf(GtidSet.parse('3e11fa47-71ca-11e1-9e33-c80aa9429562:1-9'))
    const ahead = manifestOf(SHARD, nameAt('000002'), { Position })
    const target = { serverVersion: null, executed: parsePosition(sound.Position) }
    await storeBackup(store, SHARD, nameAt('000002'), formatManifest(ahead))
    await expect(lookUp(store, SHARD, LATEST, target)).rejects.toThrow(ofType('Refused'))
    await storeBackup(store, SHARD, nameAt('000001'), formatManifest(sound))
    expect(await lookUp(store, SHARD, LATEST, target)).toMatchObject({ name: nameAt('000001') })
    expect(await lookUp(store, SHARD, LATEST, { serverVersion: null })).toMatchObject({ name: nameAt('000002') })
  })
})

describe('what a restore asks for', () => {
  const before = new Date('2026-11-24T02:30:00Z')
  const name = nameAt('000001')

  async function asked(wanted: WantedBackup, serverVersion: string | null) {
    const store = new FileStore(await temporaryDirectory())
    await storeBackup(store, SHARD, name)
    const target = { serverVersion }
    return inputFor(wanted, await lookUp(store, SHARD, wanted, target), target)
  }

  test('is the backup that its plan has shown', async () => {
    const { versionString } = aReport()
    expect(await asked(LATEST, versionString)).toEqual({ backup: name })
    expect(await asked({ ...LATEST, before }, versionString)).toEqual({ backup: name })
  })

  test('is what the user asked for where the version of the tablet is not known', async () => {
    expect(await asked(LATEST, null)).toEqual({})
    expect(await asked({ ...LATEST, before }, null)).toEqual({ before: before.toISOString() })
    expect(await asked({ ...LATEST, backup: name }, null)).toEqual({ backup: name })
  })

  test('is what the user asked for where storage cannot be read from here', () => {
    const untold = { untold: 'no mount' }
    expect(inputFor(LATEST, untold, { serverVersion: aReport().versionString })).toEqual({})
  })
})
