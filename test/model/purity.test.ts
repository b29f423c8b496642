import { readdir, readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'

const folder = new URL('../../model/', import.meta.url)
const importsOf = async (file: string): Promise<string[]> => {
  const text = await readFile(new URL(file, folder), 'utf8')
  return [...text.matchAll(/^(?:import|export)\s(?!type\s)[^'"`;]*?from\s+'([^']+)'|^import\s+'([^']+)'/gm)].map(
    ([, from, bare]) => from ?? bare ?? '',
  )
}

test('model/ does no input or output: it imports nothing of Node and nothing above it', async () => {
  for (const file of (await readdir(folder)).filter((name) => name.endsWith('.ts'))) {
    expect({
      file,
      imports: (await importsOf(file)).filter((name) => !name.startsWith('./') && name !== 'zod' && name !== 'yaml'),
    }).toEqual({ file, imports: [] })
  }
})

test('what workflows import brings no parser of schemas or YAML into their bundle', async () => {
  const seen = new Set([
    'alias.ts',
    'backup-name.ts',
    'errors.ts',
    'runs.ts',
    'shard-name.ts',
    'tablet-type.ts',
    'units.ts',
  ])
  for (const file of seen) {
    for (const name of await importsOf(file)) {
      expect({ file, name }).toEqual({ file, name: expect.stringMatching(/^\.\//) })
      seen.add(name.slice(2))
    }
  }
})
