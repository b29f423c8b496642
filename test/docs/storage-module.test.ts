import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, expect, test } from 'vitest'
import { describeObjectStore } from '../../storage/conformance/conformance.ts'
import { openStore } from '../../storage/kinds.ts'
import { readPage } from './pages.ts'

const ROOT = join(import.meta.dirname, '../..')
const page = await readPage('docs/storage-module.md')
const example = page.blocks.find(({ direction }) => direction === 'storage module')?.text ?? ''

// As a user has it: a file somewhere else, which finds the package by its name.
const directory = mkdtempSync(join(tmpdir(), 'tabletkeeper-module-'))
const path = join(directory, 'memory-store.mjs')
const published = pathToFileURL(join(ROOT, 'storage/module-interface.ts')).href
writeFileSync(path, example.replace("'tabletkeeper/storage'", JSON.stringify(published)))
afterAll(() => rmSync(directory, { recursive: true }))

const { default: memoryStore } = await import(path)

test('the example is opened by the configuration', async () => {
  const options = { root: randomUUID() }
  const store = await openStore({ kind: 'module', path, options })
  expect(store.description).toBe(`memory:${options.root}`)
  expect(await store.repository()).toEqual({ state: 'new' })
})

describeObjectStore('the example of docs/storage-module.md', async () => {
  const root = randomUUID()
  return { visibleAt: 'finish', open: () => memoryStore({ root }) }
})
