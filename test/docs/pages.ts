import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '../..')

/** A page of the documentation. */
export interface Page {
  /** Its path below the project. */
  readonly name: string
  readonly text: string
  /** Its text without its blocks. */
  readonly prose: string
  readonly blocks: readonly Block[]
}

/** A fenced block of a page. */
export interface Block {
  readonly page: string
  /** Of its first line of text, from 1. */
  readonly line: number
  /** `console`, `yaml`, `json`, … */
  readonly language: string
  /** What the comment `<!-- test: … -->` on the line before it says. */
  readonly direction: string | undefined
  /** The headings that it stands below, joined. */
  readonly section: string
  readonly text: string
}

/** Everything that people read first: pages at the top, and those of `docs/`. */
export async function readPages(): Promise<readonly Page[]> {
  const top = (await readdir(ROOT)).filter((name) => name.endsWith('.md'))
  const docs = (await readdir(join(ROOT, 'docs'))).filter((name) => name.endsWith('.md'))
  return await Promise.all([...top, ...docs.map((name) => `docs/${name}`)].map(readPage))
}

export async function readPage(name: string): Promise<Page> {
  const text = await readFile(join(ROOT, name), 'utf8')
  return { name, text, prose: text.replaceAll(/^```[\s\S]*?^```$/gm, ''), blocks: blocksOf(name, text) }
}

function blocksOf(page: string, text: string): Block[] {
  const lines = text.split('\n')
  const blocks: Block[] = []
  const headings: string[] = []
  for (let at = 0; at < lines.length; at += 1) {
    const line = lines[at] ?? ''
    const [, marks = '', title = ''] = /^(#+) (.*)$/.exec(line) ?? []
    if (marks !== '') headings.splice(marks.length - 1, headings.length, title)
    const [, language] = /^```(\w*)$/.exec(line) ?? []
    if (language === undefined) continue
    const end = lines.indexOf('```', at + 1)
    if (end === -1) throw new Error(`${page}:${at + 1}: a block without end`)
    const [, direction] = /^<!-- test: (.*) -->$/.exec(lines[at - 1] ?? '') ?? []
    const section = headings.filter(Boolean).join(' / ')
    blocks.push({ page, line: at + 2, language, direction, section, text: lines.slice(at + 1, end).join('\n') })
    at = end
  }
  return blocks
}

/** A command as somebody types it, and the lines that it is shown to print. */
export interface Exchange {
  readonly where: string
  readonly command: string
  readonly printed: readonly string[]
}

/** The exchanges of a console block: lines that start with `$ ` are typed, and go on after a backslash; the rest is printed. */
export function exchangesOf({ page, line, text }: Block): Exchange[] {
  const exchanges: { where: string; command: string; printed: string[] }[] = []
  let typing = false
  for (const [at, row] of text.split('\n').entries()) {
    const last = exchanges.at(-1)
    if (row.startsWith('$ ')) exchanges.push({ where: `${page}:${line + at}`, command: row.slice(2), printed: [] })
    else if (last === undefined) throw new Error(`${page}:${line + at}: printed by nothing`)
    else if (typing) last.command += `\n${row}`
    else last.printed.push(row)
    typing = (row.startsWith('$ ') || typing) && row.endsWith('\\')
  }
  return exchanges
}

/** Command lines of tabletkeeper in a text of a shell, split as the shell does; comments and everything after a pipe are left out. */
export function keeperCommands(shell: string): string[][] {
  const joined = shell.replaceAll(/\\\n\s*/g, ' ')
  const lines = joined.split('\n').map((line) => line.replace(/^\$ /, ''))
  return lines.flatMap((line) => {
    const [, typed] = /^(?:sudo (?:-u \w+ )?)?tabletkeeper (.*)$/.exec(line) ?? []
    if (typed === undefined) return []
    const bare = typed.replace(/\s+#.*$/, '').replace(/\s+[|>&].*$/, '')
    return [
      [...bare.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(
        ([, single, double, word]) => single ?? double ?? word ?? '',
      ),
    ]
  })
}
