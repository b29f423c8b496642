import { createInterface } from 'node:readline/promises'
import { styleText } from 'node:util'

/** Colours, or none: nothing that is shown needs them to be understood. */
export interface Paint {
  readonly good: (text: string) => string
  readonly bad: (text: string) => string
  readonly warn: (text: string) => string
  readonly faint: (text: string) => string
  readonly strong: (text: string) => string
}

/** Where a command writes: data to stdout, everything else to stderr. */
export interface Terminal {
  /** A line of data. */
  data(line: string): void
  /** A line for the person who waits. */
  note(line: string): void
  /** Replaces the last line of stderr while a person looks at it; does nothing otherwise. Empty removes it. Without colours. */
  live(line: string): void
  /** Asks a question; undefined when the answer is Ctrl-C or Ctrl-D. */
  ask(question: string): Promise<string | undefined>
  /** Whether somebody is there to answer. */
  readonly canAsk: boolean
  /** Whether data go to a person. */
  readonly dataIsRead: boolean
  /** Whether notes go to a person. */
  readonly notesAreRead: boolean
  readonly paint: Paint
  readonly notePaint: Paint
}

const PLAIN: Paint = { good: same, bad: same, warn: same, faint: same, strong: same }

/** The terminal of this process. `NO_COLOR` and `TERM=dumb` are honoured. */
export function processTerminal(): Terminal {
  const { stdin, stdout, stderr } = process
  const toStdout = writerTo(stdout)
  const toStderr = writerTo(stderr)
  let pending = ''
  const clear = () => {
    if (pending !== '') toStderr('\r\u001b[2K')
    pending = ''
  }
  return {
    data: (line) => {
      clear()
      toStdout(`${line}\n`)
    },
    note: (line) => {
      clear()
      toStderr(`${line}\n`)
    },
    live: (line) => {
      if (!stderr.isTTY || line === pending) return
      clear()
      pending = shortened(line, stderr.columns || 80)
      toStderr(pending)
    },
    ask: async (question) => {
      clear()
      const reader = createInterface({ input: stdin, output: stderr })
      try {
        return await Promise.race([reader.question(question), closed(reader)])
      } finally {
        reader.close()
      }
    },
    canAsk: stdin.isTTY === true && stderr.isTTY === true,
    dataIsRead: stdout.isTTY === true,
    notesAreRead: stderr.isTTY === true,
    paint: paintFor(stdout),
    notePaint: paintFor(stderr),
  }
}

/** Writes for as long as somebody reads: a reader that goes away, as `head` does, makes no command fail. */
function writerTo(stream: NodeJS.WriteStream): (text: string) => void {
  let isRead = true
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
    isRead = false
  })
  return (text) => {
    if (isRead) stream.write(text)
  }
}

function paintFor(stream: NodeJS.WriteStream): Paint {
  if (stream.isTTY !== true || process.env['NO_COLOR'] || process.env['TERM'] === 'dumb') return PLAIN
  const colour = (format: 'green' | 'red' | 'yellow' | 'dim' | 'bold') => (text: string) =>
    styleText(format, text, { validateStream: false })
  return {
    good: colour('green'),
    bad: colour('red'),
    warn: colour('yellow'),
    faint: colour('dim'),
    strong: colour('bold'),
  }
}

function same(text: string): string {
  return text
}

/** A line that wraps cannot be replaced: it is cut. */
function shortened(line: string, columns: number): string {
  return line.length < columns ? line : `${line.slice(0, Math.max(0, columns - 2))}…`
}

function closed(reader: ReturnType<typeof createInterface>): Promise<undefined> {
  return new Promise((resolve) => reader.once('close', () => resolve(undefined)))
}
