import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { readPages } from './pages.ts'

const ROOT = join(import.meta.dirname, '../..')

it('programs that pages show compile against the client', async () => {
  const programs = (await readPages()).flatMap(({ blocks }) => blocks.filter(({ language }) => language === 'ts'))
  expect(programs.length).toBeGreaterThan(0)
  const directory = await mkdtemp(join(tmpdir(), 'tabletkeeper-programs-'))
  try {
    for (const [at, { text }] of programs.entries()) await writeFile(join(directory, `${at}.ts`), text)
    await writeFile(join(directory, 'package.json'), '{ "type": "module" }')
    const settings = {
      extends: join(ROOT, 'tsconfig.json'),
      compilerOptions: {
        paths: { tabletkeeper: [join(ROOT, 'client/tabletkeeper.ts')] },
        typeRoots: [join(ROOT, 'node_modules/@types')],
      },
      include: ['*.ts'],
    }
    await writeFile(join(directory, 'tsconfig.json'), JSON.stringify(settings))
    await promisify(execFile)(join(ROOT, 'node_modules/.bin/tsc'), ['-p', directory])
  } finally {
    await rm(directory, { recursive: true })
  }
})
