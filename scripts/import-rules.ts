import { glob, readFile } from 'node:fs/promises'

/**
 * What each folder may import, its own files apart. Imports point downward only; `type:` allows types, which leave no
 * trace in the code that runs.
 */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  model: [],
  mysql: ['model'],
  storage: ['mysql', 'model'],
  engine: ['storage', 'mysql', 'model'],
  tablets: ['engine', 'storage', 'mysql', 'model'],
  activities: ['tablets', 'engine', 'storage', 'mysql', 'model'],
  workflows: ['type:activities', 'model'],
  workers: ['type:workflows', 'activities', 'tablets', 'engine', 'storage', 'mysql', 'model'],
  client: ['workers', 'type:workflows', 'activities', 'tablets', 'engine', 'storage', 'mysql', 'model'],
  sandbox: ['mysql', 'model'],
  bench: [
    'sandbox',
    'client',
    'workers',
    'type:workflows',
    'activities',
    'tablets',
    'engine',
    'storage',
    'mysql',
    'model',
  ],
}

/** Files with a wider view than their folder. */
const EXCEPTIONS: Readonly<Record<string, readonly string[]>> = {
  'client/commands/dev.ts': ['sandbox'],
}

/** Packages that workflow code may use: anything else would be bundled into the deterministic sandbox. */
const WORKFLOW_PACKAGES = new Set(['@temporalio/workflow', '@temporalio/common'])

const STATEMENT =
  /^(?:import|export)\s+(?<type>type\s)?[^'"();]*?from\s+'(?<static>[^']+)'|^import\s+'(?<effect>[^']+)'|\bimport\(\s*'(?<dynamic>[^']+)'\s*\)/gm

/** An import that points upward. */
export interface Breach {
  readonly file: string
  readonly line: number
  readonly message: string
}

/** Imports in `text`, the source of `file` (relative to the project), that the rules forbid. */
export function findBreaches(file: string, text: string): Breach[] {
  const folder = file.slice(0, file.indexOf('/'))
  const allowed = [...(ALLOWED[folder] ?? []), ...(EXCEPTIONS[file] ?? [])]
  return [...text.matchAll(STATEMENT)].flatMap(({ index, groups = {} }) => {
    const source = groups['static'] ?? groups['effect'] ?? groups['dynamic'] ?? ''
    const isType = groups['type'] !== undefined
    const line = text.slice(0, index).split('\n').length
    if (!source.startsWith('.')) {
      if (folder !== 'workflows' || isType || WORKFLOW_PACKAGES.has(source)) return []
      return [{ file, line, message: `workflows/ may not use the package ${source}` }]
    }
    const target = new URL(source, `file:///${file}`).pathname.split('/')[1] ?? ''
    if (target === folder || allowed.includes(target) || (isType && allowed.includes(`type:${target}`))) return []
    const kind = isType ? 'types' : 'code'
    return [
      {
        file,
        line,
        message: `${folder}/ may not import ${kind} of ${target}/ (it may import: ${allowed.join(', ') || 'nothing'})`,
      },
    ]
  })
}

/** Every forbidden import of the project in `root`. */
export async function findAllBreaches(root: string): Promise<Breach[]> {
  const breaches: Breach[] = []
  for await (const file of glob(`{${Object.keys(ALLOWED).join(',')}}/**/*.ts`, { cwd: root })) {
    breaches.push(...findBreaches(file, await readFile(`${root}/${file}`, 'utf8')))
  }
  return breaches
}
