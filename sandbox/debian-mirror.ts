import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** An entry of the machine's own package sources. */
export interface DebianMirror {
  readonly uri: string
  /** Options of a one-line entry that say whom apt trusts, such as `signed-by=/usr/share/keyrings/…`. */
  readonly trust: readonly string[]
}

const ETC_APT = '/etc/apt'
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg'

/**
 * The machine's own mirror of Debian: the first source whose address ends in `/debian` (others, such as third parties'
 * or the security archive, have no `sid`). Undefined when there is none, as on Ubuntu.
 */
export async function findDebianMirror(directory = ETC_APT): Promise<DebianMirror | undefined> {
  const parts = await readdir(join(directory, 'sources.list.d')).catch(() => [])
  const files = [
    join(directory, 'sources.list'),
    ...parts.sort().map((name) => join(directory, 'sources.list.d', name)),
  ]
  for (const file of files) {
    const text = await readFile(file, 'utf8').catch(() => '')
    const entries = file.endsWith('.sources') ? readDeb822(text) : file.endsWith('.list') ? readOneLine(text) : []
    const found = entries.find((entry) => /\/debian\/*$/.test(entry.uri))
    if (found !== undefined) return found.trust.length > 0 ? found : { ...found, trust: [`signed-by=${KEYRING}`] }
  }
  return undefined
}

/**
 * `sources.list(5)`, deb822 style: stanzas of `Field: value`, lines that start with a space continue, `#` lines are no
 * part of it.
 */
function readDeb822(text: string): DebianMirror[] {
  const lines = text.split('\n').filter((line) => !line.startsWith('#'))
  return lines
    .join('\n')
    .split(/\n\s*\n/)
    .flatMap((stanza) => {
      const fields = new Map(
        stanza
          .replace(/\n[ \t]+/g, ' ')
          .split('\n')
          .map((line) => [
            line.slice(0, line.indexOf(':')).trim().toLowerCase(),
            line.slice(line.indexOf(':') + 1).trim(),
          ]),
      )
      if (fields.get('enabled') === 'no' || !fields.get('types')?.split(/\s+/).includes('deb')) return []
      const signedBy = fields.get('signed-by')
      const trust = [
        ...(signedBy?.startsWith('/') ? [`signed-by=${signedBy}`] : []),
        ...(fields.get('trusted') === 'yes' ? ['trusted=yes'] : []),
      ]
      return (fields.get('uris') ?? '').split(/\s+/).map((uri) => ({ uri, trust }))
    })
}

/** `sources.list(5)`, one-line style: `deb [options] uri suite component…`. */
function readOneLine(text: string): DebianMirror[] {
  return text.split('\n').flatMap((line) => {
    const [, options, uri] = /^\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+\S+/.exec(line) ?? []
    if (uri === undefined) return []
    const trust = (options ?? '').split(/\s+/).filter((option) => /^(signed-by|trusted)=/.test(option))
    return [{ uri, trust }]
  })
}
