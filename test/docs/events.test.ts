import { glob, readFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { readPage } from './pages.ts'

const LEVELS = { warn: '40', error: '50' } as const
const LINE = /log\.(?<level>warn|error)\(\s*\{ event: '(?<event>[^']+)'/g

const { text } = await readPage('docs/operations.md')
const [, section = ''] = /^## Watching it\n([\s\S]*?)^## /m.exec(text) ?? []
const told = [...section.matchAll(/^\| `([^`]+)` \| (\d+) \|/gm)].map(([, event, level]) => [event, level])

/** What the sources log as warnings and errors: event and level. */
async function logged(): Promise<string[][]> {
  const found: string[][] = []
  for await (const file of glob('{activities,client,engine,mysql,storage,tablets,workers}/**/*.ts')) {
    for (const { groups = {} } of (await readFile(file, 'utf8')).matchAll(LINE)) {
      found.push([groups['event'] ?? '', groups['level'] === 'error' ? LEVELS.error : LEVELS.warn])
    }
  }
  return found
}

describe('what docs/operations.md says to watch for', () => {
  it('is logged, at that level', async () => {
    expect(told.length).toBeGreaterThan(10)
    expect(await logged()).toEqual(expect.arrayContaining(told))
  })
})
