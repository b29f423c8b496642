import type { Paint, Terminal } from '../../client/output/terminal.ts'

/** What a command wrote, for a reader at a terminal or for a pipe. */
export interface RecordedTerminal extends Terminal {
  readonly written: { readonly data: string[]; readonly notes: string[]; readonly live: string[] }
}

const PLAIN: Paint = {
  good: (text) => text,
  bad: (text) => text,
  warn: (text) => text,
  faint: (text) => text,
  strong: (text) => text,
}

export function recordedTerminal({ isRead }: { readonly isRead: boolean }): RecordedTerminal {
  const written = { data: [] as string[], notes: [] as string[], live: [] as string[] }
  return {
    written,
    data: (line) => written.data.push(line),
    note: (line) => written.notes.push(line),
    live: (line) => written.live.push(line),
    ask: async () => undefined,
    canAsk: isRead,
    dataIsRead: isRead,
    notesAreRead: isRead,
    paint: PLAIN,
    notePaint: PLAIN,
  }
}
