import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readCopyRecord } from '../../engine/ledger/copy-ledger.ts'
import { parseAlias } from '../../model/alias.ts'
import { parseBackupName } from '../../model/backup-name.ts'
import { findTablet, parseConfig } from '../../model/config.ts'
import { parseLease } from '../../model/lease.ts'
import { formatManifest, parseManifest } from '../../model/manifest.ts'
import { parseShardName, partsOf } from '../../model/shard-name.ts'
import { createAdminUserStatements } from '../../mysql/admin/grants.ts'
import { readJournal } from '../../mysql/swap/journal.ts'
import { readCloneRecord } from '../../tablets/clone-record.ts'
import { type Block, readPage, readPages } from './pages.ts'

const blocks = (await readPages()).flatMap((page) => page.blocks)
const SHARD = parseShardName('commerce/0')

function blocksIn(language: string): (readonly [string, Block])[] {
  return blocks.filter((block) => block.language === language).map((block) => [`${block.page}:${block.line}`, block])
}

describe('examples in the pages', () => {
  it.each(blocksIn('yaml'))('%s is a configuration', (name, { text }) => {
    const config = parseConfig(text, name)
    expect(findTablet(config, parseAlias('zone1-101')).shard).toBe(SHARD)
  })

  it.each(blocksIn('json'))('%s is JSON', (_name, { text }) => {
    expect(() => JSON.parse(text)).not.toThrow()
  })

  it.each(blocksIn('ini'))('%s is a unit that systemd starts again, however often it ends', (_name, { text }) => {
    expect(text).toMatch(/^\[Unit\]\n([^[].*\n|\n)*StartLimitIntervalSec=0$/m)
    expect(text).toMatch(/^\[Service\]\n([^[].*\n|\n)*Restart=always\nRestartSec=2$/m)
  })

  it('grants exactly what the agent needs, and what replication needs', async () => {
    const [sql] = (await readPage('README.md')).blocks.filter(({ language }) => language === 'sql')
    const statements = (sql?.text ?? '').split(';').map((statement) => statement.replaceAll(/\s+/g, ' ').trim())
    expect(statements.slice(0, 3)).toEqual(createAdminUserStatements('tabletkeeper', { operatingSystemUser: 'root' }))
    expect(statements.slice(3).join('\n')).toContain("GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO 'repl'@'%'")
  })
})

describe('the formats that docs/format.md specifies', async () => {
  const { blocks } = await readPage('docs/format.md')
  const example = (direction: string): string => {
    const found = blocks.find((block) => block.direction === direction)
    if (found === undefined) throw new Error(`docs/format.md has no example of a ${direction}`)
    return found.text
  }
  const { name } = parseBackupName('2026-11-25.022951.zone1-0000000101')

  it('are those of MANIFEST, to the byte', () => {
    const text = example('manifest')
    const manifest = parseManifest(text, { shard: SHARD, backup: name })
    expect(formatManifest(manifest)).toBe(text)
    expect(manifest).toMatchObject({ Keyspace: partsOf(SHARD).keyspace, Tabletkeeper: { Engine: 'frames' } })
  })

  it('are those of the lease, with every key named', async () => {
    const lease = parseLease(example('lease'), 'lease.json')
    const { text } = await readPage('docs/format.md')
    for (const key of Object.keys(lease)) expect(text).toMatch(new RegExp(`^\\|.*\`${key}\`.*\\|$`, 'm'))
  })

  it('are those of the swap journal, the record of a clone and the ledger of a copy', async () => {
    const datadir = await mkdtemp(join(tmpdir(), 'tabletkeeper-format-'))
    try {
      const folder = join(datadir, '.tabletkeeper')
      await mkdir(folder)
      await writeFile(join(folder, 'swap-journal.json'), example('journal'))
      const { token } = parseLease(example('lease'), 'lease.json')
      await writeFile(join(folder, `clone-${token}.json`), example('clone'))
      await writeFile(join(folder, 'ledger'), `${example('copy ledger')}\n`)
      expect(await readJournal(datadir)).toMatchObject({ phase: 'swapped', systemTablespace: join(datadir, 'ibdata1') })
      const clone = await readCloneRecord(datadir, token)
      expect(clone).toMatchObject({ token, backup: name, roots: [datadir, '/var/lib/mysql-redo'] })
      const { text } = await readPage('docs/format.md')
      for (const key of Object.keys(clone ?? {})) expect(text).toMatch(new RegExp(`^\\|.*\`${key}\`.*\\|$`, 'm'))
      expect(await readCopyRecord(join(folder, 'ledger'), name)).toMatchObject({ backup: name, lsn: '38708845' })
    } finally {
      await rm(datadir, { recursive: true })
    }
  })
})
