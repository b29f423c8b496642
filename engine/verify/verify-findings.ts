import type { Manifest } from '../../model/manifest.ts'
import { type DamagedObject, type DamagedPage, FINDINGS_KEPT, type Verification } from '../../model/verification.ts'

/** Collects what a verification finds, whatever the order in which objects are read; memory does not depend on how much it is. */
export class VerifyFindings {
  readonly #manifest: Manifest
  readonly #directory: string
  readonly #damaged = new Map<number, string>()
  readonly #pages = new Map<string, { readonly index: number; readonly page: number }>()
  #pageCount = 0

  /** @param directory what the keys of the backup start with */
  constructor(manifest: Manifest, directory: string) {
    this.#manifest = manifest
    this.#directory = directory
    // A page that is in an object which cannot be read any more is known from here alone.
    for (const { File, Page } of manifest.Tabletkeeper?.PageCheck.Pages ?? []) this.addPage(File, Page)
  }

  /** The object of a file is not what it was; `reason` names it. */
  addObject(index: number, reason: string): void {
    if (!this.#damaged.has(index)) this.#damaged.set(index, reason)
  }

  addPage(index: number, page: number): void {
    const id = `${index}/${page}`
    if (this.#pages.has(id)) return
    this.#pageCount += 1
    if (this.#pages.size < KEPT_WHILE_READING) this.#pages.set(id, { index, page })
  }

  /** All of it, in the order of the MANIFEST. */
  result(): Pick<Verification, 'damagedObjects' | 'firstDamagedObjects' | 'damagedPages' | 'firstDamagedPages'> {
    const objects = [...this.#damaged].sort(([a], [b]) => a - b).slice(0, FINDINGS_KEPT)
    const pages = [...this.#pages.values()].sort((a, b) => a.index - b.index || a.page - b.page).slice(0, FINDINGS_KEPT)
    return {
      damagedObjects: this.#damaged.size,
      firstDamagedObjects: objects.map(
        ([index, reason]): DamagedObject => ({
          object: `${this.#directory}${index}`,
          file: this.#fileOf(index),
          reason,
        }),
      ),
      damagedPages: Math.max(this.#pageCount, this.#manifest.Tabletkeeper?.PageCheck.BadPages ?? 0),
      firstDamagedPages: pages.map(
        ({ index, page }): DamagedPage => ({ file: this.#fileOf(index), page, origin: this.#originOf(index, page) }),
      ),
    }
  }

  #fileOf(index: number): string {
    return this.#manifest.FileEntries[index]?.Name ?? String(index)
  }

  #originOf(index: number, page: number): DamagedPage['origin'] {
    const record = this.#manifest.Tabletkeeper?.PageCheck
    if (record?.Pages.some(({ File, Page }) => File === index && Page === page)) return 'tablet'
    if (this.#damaged.has(index)) return 'storage'
    // Vitess checks no pages; and of many bad ones, MANIFEST names the first alone.
    return record === undefined || record.BadPages > record.Pages.length ? 'tablet' : 'unknown'
  }
}

/** As many as a MANIFEST names, so that none is counted twice. */
const KEPT_WHILE_READING = 2_000
