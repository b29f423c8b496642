import { describe, expect, it } from 'vitest'
import { buildProgram } from '../../client/grammar.ts'
import {
  narrowToInitShard,
  normalizeVitessFlags,
  parseReplicaType,
  vitessOverrides,
} from '../../client/vitess-flags.ts'
import { resolveConfig } from '../../model/config.ts'
import { applyOverrides } from '../../model/config-overrides.ts'
import { readConfigSource } from '../../model/config-source.ts'
import { MINIMAL, parse } from '../model/minimal-config.ts'

/** The options that commander reads from a command line of `agent`. */
async function agentOptions(...args: string[]): Promise<Record<string, unknown>> {
  let read: Record<string, unknown> = {}
  const program = buildProgram(async (options) => {
    read = { ...options }
  })
  await program.parseAsync(normalizeVitessFlags(['agent', ...args]), { from: 'user' })
  return read
}

describe('flags of vttablet', () => {
  const said = {
    restoreFromBackup: 'true',
    initKeyspace: 'commerce',
    initShard: '-80',
    initTabletType: 'rdonly',
    concurrency: '8',
    restoreConcurrency: '4',
    backupStorageImplementation: 'file',
    fileBackupStorageRoot: '/mnt/b',
  }
  const spelled = [
    ['restore_from_backup', undefined],
    ['init_keyspace', 'commerce'],
    ['init_shard', '-80'],
    ['init_tablet_type', 'rdonly'],
    ['concurrency', '8'],
    ['restore_concurrency', '4'],
    ['backup_storage_implementation', 'file'],
    ['file_backup_storage_root', '/mnt/b'],
  ] as const

  it.each([
    ['two dashes and _', '--', '_', '='],
    ['one dash and _', '-', '_', '='],
    ['two dashes and -', '--', '-', '='],
    ['one dash and -', '-', '-', '='],
    ['values as the next argument', '--', '_', ' '],
  ])('are read with %s', async (_how, dashes, joint, separator) => {
    const args = spelled.flatMap(([name, value]) => {
      const flag = `${dashes}${name.replaceAll('_', joint)}`
      if (value === undefined) return [flag]
      // A value that starts with a dash needs the equals sign, as it does in Go.
      return separator === '=' || value.startsWith('-') ? [`${flag}=${value}`] : [flag, value]
    })
    expect(await agentOptions(...args)).toEqual(said)
  })

  it('leave all other arguments alone, also those of other commands', () => {
    const other = ['--config', 'a_b.yaml', 'backup', '--concurrency', '2', '-init_shard=0', 'zone1_a-1']
    expect(normalizeVitessFlags(other)).toEqual(other)
    expect(normalizeVitessFlags(['agent', '--tablet', 'zone_1-1', '--', '--init_shard'])).toEqual([
      'agent',
      '--tablet',
      'zone_1-1',
      '--',
      '--init_shard',
    ])
  })

  it('win over the configuration, and say so', () => {
    const overrides = vitessOverrides({ ...said, restoreFromBackup: 'false' })
    const source = applyOverrides(readConfigSource(MINIMAL, 'tk.yaml'), overrides)
    const config = resolveConfig(source)
    expect(config.agent.restoreFromBackup).toBe(false)
    expect(config.backup.concurrency).toBe(8)
    expect(config.restore.concurrency).toBe(4)
    expect(config.storage).toEqual({ kind: 'file', root: '/mnt/b' })
    expect(source.originOf(['agent', 'restoreFromBackup'])).toBe('--restore_from_backup')
  })

  it('are refused with the flag and the value when they are wrong', () => {
    const overrides = vitessOverrides({ backupStorageImplementation: 'azblob' })
    const source = applyOverrides(readConfigSource(MINIMAL, 'tk.yaml'), overrides)
    expect(() => resolveConfig(source)).toThrow(/--backup_storage_implementation.*azblob/s)
    expect(() => parseReplicaType('primary')).toThrow('"primary" is not a type')
  })

  it('choose a shard of the configuration', () => {
    const config = parse(`${MINIMAL}  commerce/-80: { zone1-200: { host: db2 } }\n`)
    expect([...narrowToInitShard(config, {}).shards.keys()]).toEqual(['commerce/0', 'commerce/-80'])
    expect([...narrowToInitShard(config, { initKeyspace: 'commerce', initShard: '-80' }).shards.keys()]).toEqual([
      'commerce/-80',
    ])
    expect(() => narrowToInitShard(config, { initShard: '80-' })).toThrow('name */80-')
  })
})
