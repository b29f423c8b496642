import { resolve } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseBackupName } from '../../model/backup-name.ts'
import { isError } from '../../model/errors.ts'
import { formatManifest, type Manifest, parseManifest } from '../../model/manifest.ts'
import { parsePosition, positionOf } from '../../model/position.ts'
import { parseShardName } from '../../model/shard-name.ts'

const place = {
  shard: parseShardName('commerce/-80'),
  backup: parseBackupName('2026-11-24.143446.zone1-0000000101').name,
}
const position = positionOf(parsePosition('98880065-e813-11f1-976c-02fc00000001:1-1537'))

const Hash = 'ab'.repeat(32)

const vitess: Manifest = {
  BackupName: '2026-11-24.143446.zone1-0000000101',
  BackupMethod: 'builtin',
  Position: position,
  PurgedPosition: positionOf(parsePosition('MySQL56/')),
  FromPosition: '',
  FromBackup: '',
  Incremental: false,
  BackupTime: '2026-11-24T14:34:46Z',
  FinishedTime: '2026-11-24T14:35:01Z',
  ServerUUID: '98874b4e-e813-11f1-976c-02fc00000001',
  TabletAlias: 'zone1-0000000101',
  Hostname: 'db2.example.com',
  Keyspace: 'commerce',
  Shard: '-80',
  MySQLVersion: 'Ver 9.7.4-2 (Debian)',
  UpgradeSafe: false,
  IncrementalDetails: null,
  CompressionEngine: 'pargzip',
  FileEntries: [
    { Base: 'InnoDBData', Name: 'ibdata1', Hash: '0a1b2c3d', ParentPath: '' },
    { Base: 'InnoDBLog', Name: '#innodb_redo/#ib_redo9', Hash: '00000000', ParentPath: '' },
    { Base: 'Data', Name: 'commerce/a<b>&c.ibd', Hash: 'ffffffff', ParentPath: '' },
  ],
  SkipCompress: false,
  ExternalDecompressor: '',
}
const ours: Manifest = {
  ...vitess,
  CompressionEngine: 'zstd',
  Tabletkeeper: {
    FormatVersion: 1,
    Engine: 'frames',
    FrameSize: 8_388_608,
    Files: [
      { Size: 12_582_912, Stored: 70_000, Hash },
      { Size: 0, Stored: 38, Hash },
      { Size: 2 ** 40, Stored: 2 ** 40 + 9, Hash },
    ],
    PageCheck: { BadPages: 2, Pages: [{ File: 2, Page: 77 }] },
    Snapshot: 'reflink',
    Version: '0.1.0',
    Workflow: 'backup/commerce/-80/zone1-0000000101/2026-11-24T14:34:46Z',
    Run: '0193-42',
    Seconds: 15.2,
    OutOfServiceSeconds: 4.1,
  },
}

/** The MANIFEST with some of its keys changed, or taken away where undefined. */
const changed = (changes: Record<string, unknown>) => JSON.stringify({ ...ours, ...changes })
const withFiles = (...entries: object[]) => {
  const files = entries.map((entry) => ({ Base: 'Data', Name: 'd/t.ibd', Hash: '00000000', ParentPath: '', ...entry }))
  return JSON.stringify({ ...vitess, FileEntries: files })
}
const corrupt = (reason: RegExp) =>
  expect.objectContaining({ type: 'CorruptBackup', message: expect.stringMatching(reason) })

describe('writing', () => {
  test("is Vitess's layout byte by byte: key order, two spaces, < > & escaped, no line feed at the end", () => {
    expect(formatManifest({ ...vitess, FileEntries: vitess.FileEntries.slice(2) })).toBe(`{
  "BackupName": "2026-11-24.143446.zone1-0000000101",
  "BackupMethod": "builtin",
  "Position": "MySQL56/98880065-e813-11f1-976c-02fc00000001:1-1537",
  "PurgedPosition": "MySQL56/",
  "FromPosition": "",
  "FromBackup": "",
  "Incremental": false,
  "BackupTime": "2026-11-24T14:34:46Z",
  "FinishedTime": "2026-11-24T14:35:01Z",
  "ServerUUID": "98874b4e-e813-11f1-976c-02fc00000001",
  "TabletAlias": "zone1-0000000101",
  "Hostname": "db2.example.com",
  "Keyspace": "commerce",
  "Shard": "-80",
  "MySQLVersion": "Ver 9.7.4-2 (Debian)",
  "UpgradeSafe": false,
  "IncrementalDetails": null,
  "CompressionEngine": "pargzip",
  "FileEntries": [
    {
      "Base": "Data",
      "Name": "commerce/a\\u003cb\\u003e\\u0026c.ibd",
      "Hash": "ffffffff",
      "ParentPath": ""
    }
  ],
  "SkipCompress": false,
  "ExternalDecompressor": ""
}`)
  })

  test('reads back as it was, with our section and without', () => {
    for (const manifest of [vitess, ours, { ...ours, CompressionEngine: '', SkipCompress: true }]) {
      expect(parseManifest(formatManifest(manifest), place)).toEqual(manifest)
    }
  })

  test('any file name that can be read back is read back', () => {
    const part = fc
      .string({ minLength: 1, unit: 'grapheme' })
      .filter((text) => !/[/\0]/.test(text) && !['.', '..'].includes(text))
    fc.assert(
      fc.property(part, part, (folder, file) => {
        const manifest = {
          ...vitess,
          FileEntries: [{ ...vitess.FileEntries[0], Name: `d${folder}/${file}` }],
        } as Manifest
        expect(parseManifest(formatManifest(manifest), place)).toEqual(manifest)
      }),
    )
  })
})

describe('reading', () => {
  test('accepts what an older Vitess left out, and keys that nobody knows yet', () => {
    const old = parseManifest(
      changed({
        BackupName: undefined,
        BackupMethod: '',
        PurgedPosition: undefined,
        TabletAlias: undefined,
        Keyspace: undefined,
        CompressionEngine: undefined,
        Tabletkeeper: undefined,
        Hostname: undefined,
        SomethingNew: { a: 1 },
      }),
      place,
    )
    expect(old).toMatchObject({ BackupMethod: 'builtin', PurgedPosition: '', CompressionEngine: '', Keyspace: '' })
    expect(old).not.toHaveProperty('Tabletkeeper')
    expect(old).not.toHaveProperty('SomethingNew')
  })

  test('an error names the object, the key and what to do', () => {
    expect(() => parseManifest(changed({ BackupTime: 'yesterday' }), place)).toThrow(
      expect.objectContaining({
        type: 'CorruptBackup',
        message: 'commerce/-80/2026-11-24.143446.zone1-0000000101/MANIFEST: BackupTime: is not a time (RFC 3339)',
        hint: expect.stringContaining('tabletkeeper list'),
      }),
    )
  })

  test.each([
    [/not JSON/, ''],
    [/not JSON/, '{'],
    [/its content/, 'null'],
    [/its content/, '[]'],
    [/not JSON/, '['.repeat(200_000)],
    [/Position: /, changed({ Position: '' })],
    [/Position: /, changed({ Position: undefined })],
    [/Position: .*not a position/, changed({ Position: 'MariaDB/0-1-2' })],
    [/FileEntries: /, changed({ FileEntries: undefined })],
    [/FileEntries: /, changed({ FileEntries: null })],
    [/FileEntries: is empty/, changed({ FileEntries: [] })],
    [/incremental/, changed({ Incremental: true })],
    [/incremental/, changed({ FromPosition: position })],
    [/incremental/, changed({ IncrementalDetails: { FirstTimestamp: '2026-11-24T14:40:02Z' } })],
    [/xtrabackup.*not builtin/, changed({ BackupMethod: 'xtrabackup' })],
    [/its Keyspace is "customer", but it lies where "commerce" is meant/, changed({ Keyspace: 'customer' })],
    [/its Shard is/, changed({ Shard: '80-' })],
    [/its BackupName is/, changed({ BackupName: '2026-11-23.143446.zone1-0000000101' })],
    [/its TabletAlias is/, changed({ TabletAlias: 'zone1-0000000102' })],
  ])('is corrupt: %s', (reason, text) => {
    expect(() => parseManifest(text, place)).toThrow(corrupt(reason))
  })

  test.each([
    [{ Name: '../x' }, /leaves its directory/],
    [{ Name: 'd/../../x' }, /leaves its directory/],
    [{ Name: 'd/..' }, /leaves its directory/],
    [{ Name: '/etc/passwd' }, /absolute/],
    [{ Name: 'd/t\0.ibd' }, /NUL/],
    [{ Name: '' }, /not a path/],
    [{ Name: '.' }, /not a path/],
    [{ Name: 'd//t.ibd' }, /not a path/],
    [{ Name: 'd/t.ibd/' }, /not a path/],
    [{ Name: '.tabletkeeper/lease.json' }, /its own state/],
    [{ Base: 'BinLog' }, /Base: "BinLog" is none of/],
    [{ Base: 'Etc' }, /Base: "Etc" is none of/],
    [{ Hash: '' }, /not a checksum/],
    [{ Hash: '0A1B2C3D' }, /not a checksum/],
    [{ ParentPath: '/tmp' }, /ParentPath: is not empty/],
  ])('a file %j is corrupt', (entry, reason) => {
    expect(() => parseManifest(withFiles(entry), place)).toThrow(corrupt(reason))
  })

  test('a file listed twice is corrupt; the same name in another directory is not', () => {
    expect(() => parseManifest(withFiles({}, { Name: 'e/t.ibd' }, {}), place)).toThrow(corrupt(/listed twice/))
    expect(parseManifest(withFiles({}, { Base: 'InnoDBData' }), place).FileEntries).toHaveLength(2)
  })

  test('a name that is both a file and a folder is corrupt, in either order', () => {
    expect(() => parseManifest(withFiles({ Name: 'd' }, { Name: 'd/e/f' }), place)).toThrow(
      corrupt(/file and a folder/),
    )
    expect(() => parseManifest(withFiles({ Name: 'd/e/f' }, { Name: 'd/e' }), place)).toThrow(
      corrupt(/file and a folder/),
    )
  })

  test.each([
    [{ Files: [] }, /describes 0 files, FileEntries 3/],
    [{ Files: [...(ours.Tabletkeeper?.Files ?? []), { Size: 1, Stored: 1, Hash }] }, /describes 4 files/],
    [{ Files: [{ Size: -1, Stored: 1, Hash }, ...(ours.Tabletkeeper?.Files.slice(1) ?? [])] }, /impossible size -1/],
    [{ Files: [{ Size: 1, Stored: 2 ** 49, Hash }, ...(ours.Tabletkeeper?.Files.slice(1) ?? [])] }, /impossible size/],
    [{ Files: [{ Size: 1.5, Stored: 1, Hash }, ...(ours.Tabletkeeper?.Files.slice(1) ?? [])] }, /impossible size 1.5/],
    [{ Files: [{ Size: 1, Stored: 1, Hash: 'x' }] }, /Tabletkeeper.Files\[0\].Hash/],
    [{ PageCheck: { BadPages: 1, Pages: [{ File: 3, Page: 0 }] } }, /PageCheck names the file 3 of 3/],
    [{ FrameSize: 0 }, /Tabletkeeper.FrameSize/],
    [{ Snapshot: 'lvm' }, /Tabletkeeper.Snapshot/],
    [{ Files: [{ Size: '1', Stored: 1, Hash }] }, /Tabletkeeper.Files\[0\].Size/],
    [{ FormatVersion: 2 }, /FormatVersion: is not 1/],
  ])('our section with %j is corrupt', (change, reason) => {
    expect(() => parseManifest(changed({ Tabletkeeper: { ...ours.Tabletkeeper, ...change } }), place)).toThrow(
      corrupt(reason),
    )
  })

  test('whatever it accepts stays below its directory, whatever the names are made of', () => {
    const name = fc.array(fc.constantFrom('..', '.', '', 'd', 'a.ibd', '/', '\\', '\0', '..\\..', '...'), {
      maxLength: 6,
    })
    fc.assert(
      fc.property(name, (parts) => {
        const Name = parts.join('/')
        try {
          parseManifest(withFiles({ Name }), place)
        } catch (error) {
          expect(isError(error, 'CorruptBackup')).toBe(true)
          return
        }
        expect(resolve('/staging/data', Name)).toBe(`/staging/data/${Name}`)
      }),
      { numRuns: 500 },
    )
  })

  test('any text, and any value for any key, is a manifest or CorruptBackup', () => {
    const mutated = fc
      .tuple(fc.constantFrom(...Object.keys(ours)), fc.jsonValue())
      .map(([key, value]) => changed({ [key]: value }))
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json(), mutated), (text) => {
        try {
          parseManifest(text, place)
        } catch (error) {
          expect(isError(error, 'CorruptBackup')).toBe(true)
        }
      }),
      { numRuns: 500 },
    )
  })
})
