import { type Document, isAlias, isMap, isScalar, LineCounter, type Pair, parseDocument } from 'yaml'
import type { ConfigPath } from './config-tree.ts'
import { messageOf, TabletkeeperError } from './errors.ts'

/** A configuration as somebody wrote it, not validated yet, and where each part of it stands. */
export interface ConfigSource {
  /** Name of the file, for people. */
  readonly name: string
  readonly value: unknown
  /** `tabletkeeper.yaml:12`, or the flag that said it; undefined when nothing says it. */
  originOf(path: ConfigPath): string | undefined
  /** A scalar as it is written: YAML reads `0123` as the number 123. */
  textOf(path: ConfigPath): string | undefined
}

/**
 * Reads YAML. A text without content is an empty configuration.
 * @throws InvalidConfig with one line for each mistake
 */
export function readConfigSource(text: string, name: string): ConfigSource {
  const lines = new LineCounter()
  const originAt = (offset: number): string => `${name}:${Math.max(1, lines.linePos(offset).line)}`
  const { document, value } = parseYaml(text, name, lines, originAt)
  return {
    name,
    value,
    originOf(path) {
      if (path.length === 0) return originAt(0)
      const key = pairAt(document, path)?.key
      return isScalar(key) ? originAt(key.range?.[0] ?? 0) : undefined
    },
    textOf(path) {
      const value = resolved(document, pairAt(document, path)?.value)
      return isScalar(value) ? value.source : undefined
    },
  }
}

/** One slip can make the rest of a file unreadable, each line for another reason. */
const MISTAKES_SHOWN = 5

function parseYaml(text: string, name: string, lineCounter: LineCounter, originAt: (offset: number) => string) {
  let mistakes: string[]
  try {
    // Pretty errors would quote lines of the file, and so perhaps a secret.
    const document = parseDocument(text, { lineCounter, stringKeys: true, prettyErrors: false })
    const found = [...document.errors, ...document.warnings].slice(0, MISTAKES_SHOWN)
    mistakes = found.map(({ pos, message }) => `${originAt(pos[0])} ${message}`)
    if (mistakes.length === 0) return { document, value: document.toJS() as unknown }
  } catch (error) {
    // Where the parser gives up: aliases that expand without end, nesting too deep for the stack.
    mistakes = [`${name} ${messageOf(error)}`]
  }
  throw new TabletkeeperError('InvalidConfig', mistakes.join('\n'), {
    hint: `${name} is not readable as YAML: look at quotes, indentation and colons there.`,
  })
}

function pairAt(document: Document.Parsed, path: ConfigPath): Pair | undefined {
  let node: unknown = document.contents
  let pair: Pair | undefined
  for (const key of path) {
    const map = resolved(document, node)
    pair = isMap(map) ? map.items.find((item) => isScalar(item.key) && item.key.value === key) : undefined
    if (pair === undefined) return undefined
    node = pair.value
  }
  return pair
}

function resolved(document: Document.Parsed, node: unknown): unknown {
  return isAlias(node) ? node.resolve(document) : node
}
