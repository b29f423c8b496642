import type { Command } from 'commander'
import { describe, expect, it } from 'vitest'
import { buildProgram } from '../../client/grammar.ts'
import { normalizeVitessFlags } from '../../client/vitess-flags.ts'
import { keeperCommands, readPage, readPages } from './pages.ts'

const pages = await readPages()

/** The words after `tabletkeeper` of everything that a page shows, in blocks and in sentences, with the place. */
const shown = pages.flatMap(({ name, prose, blocks }) => {
  const inBlocks = blocks
    .filter(({ language }) => ['', 'console', 'ini', 'sh'].includes(language))
    .flatMap((block) => keeperCommands(block.text.replaceAll(/^ExecStart=\/usr\/bin\/env /gm, '')))
  const inSentences = [...prose.matchAll(/`((?:sudo )?tabletkeeper [^`]+)`/g)].flatMap(([, typed]) =>
    keeperCommands((typed ?? '').replaceAll(/\s+/g, ' ')),
  )
  const placeholders = ['…', '<command>', '--help', '--version']
  return [...inBlocks, ...inSentences]
    .filter(([first = '']) => !placeholders.includes(first))
    .map((words) => ({ page: name, words }))
})

describe('what the pages show of the command line', () => {
  it.each(shown.map(({ page, words }) => [page, words.join(' '), words] as const))(
    '%s: %s',
    async (_page, _line, words) => {
      const program = buildProgram(async () => undefined)
      const typed = normalizeVitessFlags(words)
      const command = commandOf(program, typed)
      expect(command, 'there is no such command').not.toBe(program)
      const flags = typed.filter((word) => /^--?[a-z]/.test(word)).map((word) => word.split('=')[0] ?? '')
      const known = [...command.options, ...program.options].flatMap(({ long, short }) => [long, short])
      for (const flag of flags) expect([...known, '--help']).toContain(flag)
    },
  )

  it('names every command and each of its options on its own page', async () => {
    const { text } = await readPage('docs/cli.md')
    const rows = text.split('\n').filter((line) => line.startsWith('| `'))
    const program = buildProgram(async () => undefined)
    for (const command of commandsBelow(program)) {
      const row = rows.find((line) => rowNames(line).includes(nameOf(command)))
      expect(row, `no row is about ${nameOf(command)}`).toBeDefined()
      // Flags of vttablet are shown as vttablet spells them, in a section of their own.
      const where = row?.includes('flags of vttablet') ? `${row}${text.replaceAll('_', '-')}` : row
      for (const { long } of command.options) if (long !== '--json') expect(where).toContain(long?.slice(1))
      const hasJson = command.options.some(({ long }) => long === '--json')
      expect(row?.includes('no `--json`'), `${nameOf(command)} and --json`).toBe(!hasJson)
    }
  })
})

/** The deepest command that the words name. */
function commandOf(program: Command, words: readonly string[]): Command {
  const [first, ...rest] = words
  const found = program.commands.find((command) => command.name() === first || command.aliases().includes(first ?? ''))
  return found === undefined ? program : commandOf(found, rest)
}

/** Those that do something: `schedule` and `config` are but groups. */
function commandsBelow(command: Command): Command[] {
  return command.commands.flatMap((one) => {
    const isGroup = one.commands.length > 0 && one.options.length === 0
    return [...(isGroup ? [] : [one]), ...commandsBelow(one)]
  })
}

function nameOf(command: Command): string {
  const { parent } = command
  return parent === null || parent.parent === null ? command.name() : `${nameOf(parent)} ${command.name()}`
}

/** The commands that the first cell of a row names; after a comma only the last word is written anew. */
function rowNames(row: string): string[] {
  const cell = row.split('|')[1] ?? ''
  const spans = [...cell.matchAll(/`([^`]+)`/g)].map(([, span]) => (span ?? '').replaceAll(/ ?[<[].*$/g, ''))
  const [first = ''] = spans
  const group = first.includes(' ') ? `${first.split(' ')[0]} ` : ''
  return spans.map((span, place) => (place === 0 ? span : `${group}${span}`))
}
