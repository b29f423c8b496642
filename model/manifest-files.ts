import type { FileEntry, TabletkeeperSection } from './manifest.ts'

/** No tablespace of InnoDB is larger: 2^32 pages of 64 KiB. */
const MAX_SIZE = 2 ** 48
/** Where tabletkeeper keeps its own state in each data root: data never go there. */
const PRIVATE_FOLDER = '.tabletkeeper'

/** What is wrong with the files that a MANIFEST lists, or undefined: each must have a path of its own that stays below its directory. */
export function faultOfFiles(entries: readonly FileEntry[]): string | undefined {
  const files = new Set<string>()
  const folders = new Set<string>()
  for (const [index, { Base, Name }] of entries.entries()) {
    const about = describe(index, Name)
    const fault = faultOfName(Name)
    if (fault !== undefined) return `${about} ${fault}`
    const path = `${Base}/${Name}`
    if (files.has(path)) return `${about} is listed twice`
    files.add(path)
    for (let slash = path.lastIndexOf('/'); slash > 0; slash = path.lastIndexOf('/', slash - 1)) {
      folders.add(path.slice(0, slash))
    }
  }
  for (const [index, { Base, Name }] of entries.entries()) {
    if (folders.has(`${Base}/${Name}`)) return `${describe(index, Name)} is both a file and a folder`
  }
  return undefined
}

function describe(index: number, name: string): string {
  return `FileEntries[${index}] ${JSON.stringify(name.slice(0, 200))}`
}

function faultOfName(name: string): string | undefined {
  const parts = name.split('/')
  if (name.includes('\0')) return 'holds a NUL'
  if (name.startsWith('/')) return 'is an absolute path'
  if (parts.includes('..')) return 'leaves its directory'
  if (parts.includes('') || parts.includes('.')) return 'is not a path of a file'
  if (parts[0] === PRIVATE_FOLDER) return 'lies where tabletkeeper keeps its own state'
  return undefined
}

/** What is wrong with what we recorded for `count` files, or undefined. */
export function faultOfSection({ Files, PageCheck }: TabletkeeperSection, count: number): string | undefined {
  if (Files.length !== count) return `Tabletkeeper.Files describes ${Files.length} files, FileEntries ${count}`
  for (const [index, file] of Files.entries()) {
    for (const size of [file.Size, file.Stored]) {
      if (!Number.isInteger(size) || size < 0 || size > MAX_SIZE)
        return `Tabletkeeper.Files[${index}] has an impossible size ${size}`
    }
  }
  const stray = PageCheck.Pages.find(({ File }) => File >= count)
  return stray && `Tabletkeeper.PageCheck names the file ${stray.File} of ${count}`
}
