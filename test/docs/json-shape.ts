/**
 * Where a document that a page shows has other keys, or other types, than the one that is printed; undefined when nowhere. What is null in
 * one of them may be anything in the other; of lists, the first entries are compared.
 */
export function keyDifference(shown: unknown, printed: unknown, path = ''): string | undefined {
  if (shown === null || printed === null) return undefined
  if (Array.isArray(shown) && Array.isArray(printed)) {
    return shown.length === 0 || printed.length === 0 ? undefined : keyDifference(shown[0], printed[0], `${path}[0]`)
  }
  if (isRecord(shown) && isRecord(printed)) {
    const missing = Object.keys(shown).filter((key) => !(key in printed))
    const added = Object.keys(printed).filter((key) => !(key in shown))
    if (missing.length + added.length > 0) {
      return `${path || 'the document'}: shown and not printed: [${missing}], printed and not shown: [${added}]`
    }
    const below = Object.keys(shown).map((key) => keyDifference(shown[key], printed[key], `${path}.${key}`))
    return below.find((difference) => difference !== undefined)
  }
  return typeof shown === typeof printed ? undefined : `${path}: shown as ${typeof shown}, printed as ${typeof printed}`
}

/** What lies at a path such as `.runs[0]` in a document. */
export function at(document: unknown, path: string): unknown {
  const steps = path.match(/[^.[\]]+/g) ?? []
  return steps.reduce((found: unknown, step) => {
    if (Array.isArray(found)) return found[Number(step)]
    return isRecord(found) ? found[step] : undefined
  }, document)
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
