const paint = process.stdout.isTTY && process.env['NO_COLOR'] === undefined
const bold = (text: string): string => (paint ? `\u001B[1m${text}\u001B[0m` : text)

export function heading(text: string): void {
  process.stdout.write(`\n${bold(`── ${text} ──`)}\n`)
}

export function say(text: string): void {
  process.stdout.write(`${text}\n`)
}

/** Prints a claim with what was seen, and whether it holds; returns that. */
export function prove(claim: string, holds: boolean, seen: string): boolean {
  process.stdout.write(` ${holds ? '✓' : '✗'} ${claim}: ${seen}\n`)
  return holds
}
