import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { buildProgram } from '../../client/grammar.ts'
import { normalizeVitessFlags } from '../../client/vitess-flags.ts'

const page = (name: string) => readFile(join(import.meta.dirname, '../../docs', name), 'utf8')

/** Command lines that a page shows in its blocks, split as a shell does, comments left out. */
function commandsOf(markdown: string): string[][] {
  const blocks = markdown.split(/^```.*$/m).filter((_, index) => index % 2 === 1)
  const lines = blocks
    .flatMap((block) => block.split('\n').map((line) => line.replace(/^sudo /, '')))
    .filter((line) => line.startsWith('tabletkeeper '))
  return lines.map((line) =>
    [...line.replace(/\s+#.*$/, '').matchAll(/'([^']*)'|(\S+)/g)]
      .map(([, quoted, bare]) => quoted ?? bare ?? '')
      .slice(1),
  )
}

describe('the documentation of the command line', async () => {
  it.each(commandsOf(await page('cli.md')).map((args) => [args.join(' '), args] as const))(
    'shows a command that is right: %s',
    async (_line, args) => {
      let called = 0
      const program = buildProgram(async () => {
        called += 1
      })
      for (const command of [program, ...program.commands.flatMap((one) => [one, ...one.commands])])
        command.exitOverride()
      await program.parseAsync(normalizeVitessFlags(args), { from: 'user' })
      expect(called).toBe(1)
    },
  )

  it('shows every command', async () => {
    const shown = commandsOf(await page('cli.md'))
    const named = new Set(
      shown.map(([command, verb]) => (command === 'schedule' || verb === 'return' ? `${command} ${verb}` : command)),
    )
    const program = buildProgram(async () => {})
    const all = program.commands.flatMap((command) =>
      command.name() === 'schedule' ? command.commands.map((verb) => `schedule ${verb.name()}`) : [command.name()],
    )
    expect([...named]).toEqual(expect.arrayContaining(all))
  })

  it('shows JSON that is JSON', async () => {
    const blocks = [...(await page('cli.md')).matchAll(/^```json\n(.*?)^```/gms)].map(([, text]) => text ?? '')
    expect(blocks.length).toBeGreaterThan(3)
    for (const block of blocks) expect(() => JSON.parse(block)).not.toThrow()
  })
})
