import { glob, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { readPage } from './pages.ts'

const ROOT = join(import.meta.dirname, '../..')
const { text } = await readPage('docs/operations.md')
const [, section = ''] = /^## Refusals$([\s\S]*?)^## /m.exec(text) ?? []
const phrases = [...section.matchAll(/^\| (`.*?) \|/gm)].flatMap(([, cell = '']) =>
  [...cell.matchAll(/`([^`]+)`/g)].map(([, phrase = '']) => phrase),
)

async function readSources(): Promise<string> {
  const folders = '{activities,client,engine,model,mysql,storage,tablets,workers,workflows}/**/*.ts'
  const texts: string[] = []
  for await (const file of glob(folders, { cwd: ROOT })) texts.push(await readFile(join(ROOT, file), 'utf8'))
  return texts.join('\n')
}
const sources = await readSources()

/** What is the same each time: a page writes an ellipsis or a capital for what is not. */
function constantsOf(phrase: string): string[] {
  return phrase
    .split(/…|\b[NAB]\b/)
    .map((part) => part.trim())
    .filter((part) => part.length > 3)
}

it.each(phrases)('the program says: %s', (phrase) => {
  expect(constantsOf(phrase).filter((part) => !sources.includes(part))).toEqual([])
})
