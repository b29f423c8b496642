import { randomBytes } from 'node:crypto'

const TEMPORARY = /^\.tmp-[0-9a-f]{16}-(.+)$/s

/** What tells one write's temporary files from those of others. All zeros is nobody's: it names claims. */
export function newWriteId(): string {
  return randomBytes(8).toString('hex')
}

/** Whether `text` is what `newWriteId` gives. */
export function isWriteId(text: string): boolean {
  return /^[0-9a-f]{16}$/.test(text) && !/^0+$/.test(text)
}

/** A name beside `name` for what is written before it may be called so. */
export function temporaryNameOf(name: string, id = newWriteId()): string {
  return `.tmp-${id}-${name}`
}

/** The name that a temporary file was to get; undefined for any other file. */
export function finalNameOf(name: string): string | undefined {
  return TEMPORARY.exec(name)?.[1]
}

/** Whether a directory entry is the users': neither the store's own nor the file system's (`.nfs…`, `.snapshot`, `lost+found`). */
export function isVisible(name: string, atRoot: boolean): boolean {
  return !name.startsWith('.') && !(atRoot && name === 'lost+found')
}
