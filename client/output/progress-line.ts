import type { Progress } from '../../model/runs.ts'
import { renderCopying } from './progress.ts'
import type { Terminal } from './terminal.ts'

/** In a pipe it is told this often. */
const PLAIN_INTERVAL = 30_000

/** Shows the progress of what this process does itself: a line that lives until it is disposed of; in a pipe one now and then. */
export class ProgressLine implements Disposable {
  readonly #terminal: Terminal
  readonly #title: string
  #toldAt = Date.now()

  constructor(terminal: Terminal, title: string) {
    this.#terminal = terminal
    this.#title = title
  }

  show(progress: Progress): void {
    const line = ` … ${renderCopying(this.#title, progress)}`
    if (this.#terminal.notesAreRead) this.#terminal.live(line)
    else if (Date.now() - this.#toldAt >= PLAIN_INTERVAL) {
      this.#toldAt = Date.now()
      this.#terminal.note(line)
    }
  }

  [Symbol.dispose](): void {
    this.#terminal.live('')
  }
}
