import { z } from 'zod'
import { TabletkeeperError } from '../../model/errors.ts'

/** The content of `mysqld-auto.cnf`, where `SET PERSIST` keeps variables for the next start: section → variable → value. */
export type PersistedVariables = z.infer<typeof fileSchema>

/** The file's name, in the data directory. */
export const PERSISTED_FILE = 'mysqld-auto.cnf'

/** What mysqld 8.0.30 and later writes. Its sections keep whatever else they hold, such as encrypted values. */
const VERSION = 2
const variableSchema = z.looseObject({ Value: z.string() })
const fileSchema = z.looseObject({ Version: z.literal(VERSION) })
const sectionSchema = z.record(z.string(), z.unknown())

/** Sections that hold plain variables; a variable is looked for in each of them. */
const SECTIONS = [
  'mysql_static_parse_early_variables',
  'mysql_static_variables',
  'mysql_dynamic_parse_early_variables',
  'mysql_dynamic_variables',
] as const

type Section = (typeof SECTIONS)[number]

/** The old name under which mysqld keeps `skip_replica_start` a second time. */
export const OLD_NAMES = ['skip_slave_start']

export const NOTHING_PERSISTED: PersistedVariables = { Version: VERSION }

/**
 * Reads a `mysqld-auto.cnf`.
 * @throws Refused when it is of another version, or damaged
 */
export function parsePersisted(text: string, path: string): PersistedVariables {
  try {
    return fileSchema.parse(JSON.parse(text))
  } catch (error) {
    throw new TabletkeeperError('Refused', `${path} cannot be read as persisted variables of MySQL 8.0.30 or later`, {
      hint: 'SET PERSIST writes it anew when mysqld runs: persist any variable again, or remove the file.',
      cause: error,
    })
  }
}

export function formatPersisted(variables: PersistedVariables): string {
  return JSON.stringify(variables)
}

/** The persisted value of a variable; undefined when it is not persisted. */
export function persistedValue(variables: PersistedVariables, name: string): string | undefined {
  const found = SECTIONS.map((section) => variableSchema.safeParse(sectionOf(variables, section)[name]))
  return found.find((value) => value.success)?.data.Value
}

/** The same without some variables; everything else is kept as it is. */
export function withoutPersisted(variables: PersistedVariables, names: readonly string[]): PersistedVariables {
  const sections = SECTIONS.map((section) => {
    const kept = Object.entries(sectionOf(variables, section)).filter(([name]) => !names.includes(name))
    return [section, kept] as const
  })
  const present = sections
    .filter(([, kept]) => kept.length > 0)
    .map(([section, kept]) => [section, Object.fromEntries(kept)])
  const others = Object.entries(variables).filter(([name]) => !SECTIONS.some((section) => section === name))
  return { ...Object.fromEntries(others), ...Object.fromEntries(present), Version: VERSION }
}

/** The same, with other values for some variables, in the given section. */
export function withPersisted(
  variables: PersistedVariables,
  section: Section,
  values: Readonly<Record<string, string>>,
): PersistedVariables {
  const without = withoutPersisted(variables, Object.keys(values))
  const written = Object.entries(values).map(([name, value]) => [name, { Value: value, Metadata: origin() }])
  return { ...without, [section]: { ...sectionOf(without, section), ...Object.fromEntries(written) } }
}

function sectionOf(variables: PersistedVariables, section: Section): Record<string, unknown> {
  return sectionSchema.safeParse(variables[section]).data ?? {}
}

function origin() {
  return { Host: 'localhost', User: 'tabletkeeper', Timestamp: Date.now() * 1000 }
}
