import type { z } from 'zod'
import { closest } from './closest.ts'
import { type ConfigProblem, type EffectiveConfig, inheritedPathOf } from './config-effective.ts'
import type { IssueParameters } from './config-leaves.ts'
import type { ConfigSource } from './config-source.ts'
import { type ConfigPath, valueAt } from './config-tree.ts'
import { TabletkeeperError } from './errors.ts'

/** What the schema says against a configuration, in words, each at the place where the source says it. */
export function problemsOf(
  issues: readonly z.core.$ZodIssue[],
  effective: EffectiveConfig,
  source: ConfigSource,
): ConfigProblem[] {
  return issues.flatMap((issue) => {
    const path = issue.path.map(String)
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => unknownKey([...path, key], issue.message, effective))
    }
    return [wrongValue(path, issue, effective, source)]
  })
}

function unknownKey(path: ConfigPath, knownKeys: string, effective: EffectiveConfig): ConfigProblem {
  const at = effective.sourceOf(path) ?? effective.ownPathOf(path)
  const [meant] = closest(path.at(-1) ?? '', knownKeys.split(', '))
  return {
    path: at,
    message: `is not a known key; known here: ${knownKeys}`,
    ...(meant === undefined
      ? {}
      : { hint: `Did you mean ${[...at.slice(0, -1), meant].join('.')} instead of ${at.join('.')}?` }),
  }
}

function wrongValue(
  path: ConfigPath,
  issue: z.core.$ZodIssue,
  effective: EffectiveConfig,
  source: ConfigSource,
): ConfigProblem {
  const at = effective.sourceOf(path)
  const value = valueAt(effective.value, path)
  if (value === undefined) return missing(path, issue.message, effective)
  const own = at ?? effective.ownPathOf(path)
  if (value === null) return { path: own, message: `is empty: it is ${issue.message}` }
  const { isText, isSecret }: IssueParameters = (issue.code === 'custom' && issue.params) || {}
  if (isSecret) return { path: own, message: `is not ${issue.message}` }
  const text = source.textOf(own) ?? String(value)
  if (isText && (typeof value === 'number' || typeof value === 'boolean')) {
    return {
      path: own,
      message: `${text} is a ${typeof value} to YAML; write ${JSON.stringify(text)}`,
    }
  }
  return { path: own, message: `${typeof value === 'number' ? text : shown(value)} is not ${issue.message}` }
}

/** What a tablet may take from `mysql` is missed there, once for all tablets. */
function missing(path: ConfigPath, wanted: string, effective: EffectiveConfig): ConfigProblem {
  const inherited = inheritedPathOf(path)
  if (inherited !== undefined)
    return { path: inherited, message: `is missing, here or for each tablet: it is ${wanted}` }
  return { path: effective.ownPathOf(path), message: `is missing: it is ${wanted}` }
}

function shown(value: unknown): string {
  if (typeof value === 'object') return Array.isArray(value) ? 'a list' : 'a map'
  const text = JSON.stringify(value)
  return text.length > 80 ? `${text.slice(0, 80)}…` : text
}

/** All problems as one error, a line each, in the order of the file. */
export function invalidConfig(problems: readonly ConfigProblem[], source: ConfigSource): TabletkeeperError {
  const lines = problems
    .map(({ path, message }) => `${nearestOrigin(path, source)} ${path.join('.') || 'the configuration'}: ${message}`)
    .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
  const hints = new Set(problems.map(({ hint }) => hint).filter((hint) => hint !== undefined))
  return new TabletkeeperError('InvalidConfig', [...new Set(lines)].join('\n'), {
    hint: hints.size > 0 ? [...hints].join(' ') : 'tabletkeeper.example.yaml shows every key and its default.',
  })
}

/** Where it is said; for what is missing, where the map stands that lacks it. */
function nearestOrigin(path: ConfigPath, source: ConfigSource): string {
  for (let length = path.length; length > 0; length -= 1) {
    const origin = source.originOf(path.slice(0, length))
    if (origin !== undefined) return origin
  }
  return source.originOf([]) ?? source.name
}
