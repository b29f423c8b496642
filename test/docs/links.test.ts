import { access } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readPages } from './pages.ts'

const ROOT = join(import.meta.dirname, '../..')
const pages = await readPages()

/** Links of a page that stay within the project: `[words](path#heading)`. */
const links = pages.flatMap(({ name, prose }) =>
  [...prose.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target]) => target ?? '')
    .filter((target) => !/^\w+:/.test(target))
    .map((target) => [name, target] as const),
)

/** The name that GitHub gives to a heading. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-')
}

describe('links of the pages', () => {
  it.each(links)('%s: %s', async (page, target) => {
    const [path = '', anchor] = target.split('#')
    const file = path === '' ? page : join(dirname(page), path)
    await access(join(ROOT, file))
    if (anchor === undefined) return
    const headings = pages.find(({ name }) => name === file)?.text.match(/^#+ .*$/gm) ?? []
    expect(headings.map((heading) => anchorOf(heading.replace(/^#+ /, '')))).toContain(anchor)
  })
})
