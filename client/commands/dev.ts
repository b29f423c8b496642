import { EXIT } from '../output/failure.ts'
import type { CommandContext } from './command.ts'

export interface DevOptions {
  readonly directory: string
}

export async function dev({ terminal }: CommandContext, { directory }: DevOptions): Promise<number> {
  terminal.note(directory)
  return EXIT.done
}
