import { pathToFileURL } from 'node:url'
import type { StorageConfig } from '../model/config-storage.ts'
import { isError, messageOf, TabletkeeperError } from '../model/errors.ts'
import type { ObjectStore } from './object-store.ts'

export type ModuleConfig = Extract<StorageConfig, { readonly kind: 'module' }>

/** What a module of storage exports as its default: it makes a store of `storage.options`. */
export type MakeObjectStore = (options: Readonly<Record<string, unknown>>) => ObjectStore | Promise<ObjectStore>

/** All of them are called. */
const METHODS = ['repository', 'put', 'get', 'head', 'list', 'delete', 'abortUploads', 'upload', 'localPath', 'probe']

/**
 * The store that a user's own module makes.
 * @throws InvalidConfig when it cannot be loaded, exports nothing that makes a store, or makes none
 */
export async function openModule({ path, options }: ModuleConfig): Promise<ObjectStore> {
  const make = await load(path)
  let made: unknown
  try {
    made = await make(options)
  } catch (error) {
    if (isError(error)) throw error
    throw invalid(`the module of storage.path, ${path}, made no store: ${messageOf(error)}`, {
      hint: 'Look at storage.options, and at the module.',
      cause: error,
    })
  }
  if (isStore(made)) return made
  const missing = METHODS.filter((name) => !hasMethod(made, name))
  const lacks =
    typeof made !== 'object' || made === null
      ? 'it is no object'
      : `it lacks ${[...missing, ...descriptionOf(made)].join(', ')}`
  throw invalid(`what the module of storage.path, ${path}, makes is no ObjectStore: ${lacks}`, {
    hint: 'docs/storage-module.md says what a store has and guarantees.',
  })
}

async function load(path: string): Promise<(options: ModuleConfig['options']) => unknown> {
  let exported: unknown
  try {
    exported = await import(pathToFileURL(path).href)
  } catch (error) {
    throw invalid(`the module of storage.path, ${path}, cannot be loaded: ${messageOf(error)}`, {
      hint: 'It has to be JavaScript on every host, readable by the user that tabletkeeper runs as: try node on it.',
      cause: error,
    })
  }
  const make = typeof exported === 'object' && exported !== null && 'default' in exported ? exported.default : undefined
  if (isFunction(make)) return make
  throw invalid(`the module of storage.path, ${path}, has no default export that is a function`, {
    hint: 'Write: export default function (options) { return new MyStore(options) }',
  })
}

function isFunction(value: unknown): value is (options: unknown) => unknown {
  return typeof value === 'function'
}

function isStore(value: unknown): value is ObjectStore {
  return descriptionOf(value).length === 0 && METHODS.every((name) => hasMethod(value, name))
}

function descriptionOf(value: unknown): readonly string[] {
  const hasOne =
    typeof value === 'object' && value !== null && 'description' in value && typeof value.description === 'string'
  return hasOne ? [] : ['description']
}

function hasMethod(value: unknown, name: string): boolean {
  return typeof value === 'object' && value !== null && name in value && isFunction(Reflect.get(value, name))
}

function invalid(message: string, options: { readonly hint: string; readonly cause?: unknown }): TabletkeeperError {
  return new TabletkeeperError('InvalidConfig', message, options)
}
