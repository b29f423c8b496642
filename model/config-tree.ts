/** Configuration as it is written: maps of keys, down to scalars. */
export type Tree = { readonly [key: string]: unknown }

/** Names of keys from the top down. */
export type ConfigPath = readonly string[]

export function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** What is at `path`, or undefined. */
export function valueAt(value: unknown, path: ConfigPath): unknown {
  return path.reduce((at: unknown, key) => (isTree(at) && Object.hasOwn(at, key) ? at[key] : undefined), value)
}

/** `value` with something else at `path`. Missing maps are made; where something else is in the way, it stays as it is. */
export function withValueAt(value: unknown, path: ConfigPath, put: unknown): unknown {
  const [key, ...rest] = path
  if (key === undefined) return put
  const tree = value ?? {}
  if (!isTree(tree)) return tree
  return Object.fromEntries([...Object.entries(tree), [key, withValueAt(valueAt(tree, [key]), rest, put)]])
}

/** Keys whose value is one choice, even when it is written as a map: another choice replaces it whole. */
const CHOICES: ReadonlySet<string> = new Set(['service'])

/** `over` on top of `base`, map by map. An empty section (`backup:` and nothing below) says nothing. */
export function merged(base: unknown, over: unknown): unknown {
  if (over === undefined || (over === null && isTree(base))) return base
  if (!isTree(base) || !isTree(over)) return over
  const keys = new Set([...Object.keys(over), ...Object.keys(base)])
  return Object.fromEntries(
    [...keys].map((key) => {
      const [below, above] = [valueAt(base, [key]), valueAt(over, [key])]
      return [key, CHOICES.has(key) && above !== undefined ? above : merged(below, above)]
    }),
  )
}

/** Everything that is no map, with its path, in order. */
export function leavesOf(value: unknown, path: ConfigPath = []): readonly (readonly [ConfigPath, unknown])[] {
  if (!isTree(value)) return [[path, value]]
  return Object.entries(value).flatMap(([key, inner]) => leavesOf(inner, [...path, key]))
}
