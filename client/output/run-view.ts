import type { RunView } from '../run-handle.ts'
import { renderCurrent } from './progress.ts'
import { renderStep, shownSteps } from './steps.ts'
import type { Terminal } from './terminal.ts'
import { waitingOf } from './waiting.ts'

const FRAMES = '⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏'
/** In a pipe, the step under way is told this often. */
const PLAIN_INTERVAL = 30_000

/**
 * Shows a run while it goes on: a line for each step that is over, and one that lives for the step under way. In a pipe, the latter
 * is written twice a minute, and what it waits for as soon as that is known.
 */
export class RunDisplay {
  readonly #terminal: Terminal
  #shown = 0
  #frame = 0
  #toldAt = 0
  #announced = ''

  constructor(terminal: Terminal) {
    this.#terminal = terminal
  }

  show(view: RunView): void {
    const { notePaint, notesAreRead } = this.#terminal
    const steps = view.progress === undefined ? [] : shownSteps(view.progress)
    for (const step of steps.slice(this.#shown)) this.#terminal.note(renderStep(step, notePaint))
    this.#shown = Math.max(this.#shown, steps.length)

    const current = renderCurrent(view)
    this.#announceWaiting(view, current)
    if (notesAreRead) {
      this.#frame = (this.#frame + 1) % FRAMES.length
      this.#terminal.live(current === undefined ? '' : ` ${FRAMES[this.#frame]} ${current}`)
    } else if (current !== undefined && view.at.getTime() - this.#toldAt >= PLAIN_INTERVAL) {
      // The first look is not worth a line: most steps are over by the next one.
      if (this.#toldAt > 0) this.#terminal.note(` … ${current}`)
      this.#toldAt = view.at.getTime()
    }
  }

  /** What to type about a wait is said once, in a pipe with the wait itself. */
  #announceWaiting(view: RunView, current: string | undefined): void {
    const { for: cause, hint } = waitingOf(view) ?? { for: '', hint: undefined }
    if (cause === this.#announced) return
    this.#announced = cause
    if (hint === undefined) return
    if (!this.#terminal.notesAreRead) this.#terminal.note(` … ${current ?? cause}`)
    this.#terminal.note(`   ${hint}`)
  }

  end(): void {
    this.#terminal.live('')
  }
}
