import { TabletkeeperError } from '../../model/errors.ts'
import { Interrupted } from '../output/failure.ts'
import type { Terminal } from '../output/terminal.ts'

/**
 * Asks before data are replaced or removed.
 * @param isYes tells the answer that means yes
 * @throws InvalidInput when nobody is there to answer; Interrupted for Ctrl-C; Refused when the answer is another
 */
export async function confirm(terminal: Terminal, question: string, isYes: (answer: string) => boolean): Promise<void> {
  if (!terminal.canAsk) {
    throw new TabletkeeperError('InvalidInput', 'this needs a yes, and nobody is at the terminal to say it', {
      hint: 'Nothing was changed. Add --yes to do it, --dry-run to see the plan alone.',
    })
  }
  const answer = await terminal.ask(question)
  if (answer === undefined) throw new Interrupted()
  if (!isYes(answer.trim())) {
    throw new TabletkeeperError('Refused', 'that was no yes', { hint: 'Nothing was changed.' })
  }
}
