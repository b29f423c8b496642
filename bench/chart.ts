import { type Judgement, showBar, showReached } from './bars.ts'

const ROW = 26
const LEFT = 400
const WIDTH = 320
const TOP = 56

/**
 * A small SVG: for each bar that was measured how far it was reached; the line in the middle is the bar, and right of it is better.
 * @param caption a line below the title
 */
export function chartOf(judgements: readonly Judgement[], caption: string): string {
  const measured = judgements.filter(({ reached }) => reached !== null)
  const height = TOP + measured.length * ROW + 20
  const rows = measured.map((one, index) => {
    const y = TOP + index * ROW
    const length = Math.max(2, Math.round(WIDTH * lengthOf(one)))
    return `  <text x="${LEFT - 10}" y="${y + 14}" text-anchor="end">${escaped(one.title)}</text>
  <rect x="${LEFT}" y="${y + 2}" width="${length}" height="${ROW - 10}" fill="${one.holds ? '#2f7d5b' : '#b5482f'}"/>
  <text x="${LEFT + WIDTH + 12}" y="${y + 14}">${escaped(showReached(one))} <tspan fill="#777">(${escaped(showBar(one))})</tspan></text>`
  })
  const middle = LEFT + WIDTH / 2
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${LEFT + WIDTH + 190}" height="${height}" font-family="sans-serif" font-size="12">
  <rect width="100%" height="100%" fill="#fff"/>
  <text x="16" y="22" font-size="15" font-weight="bold">What the copy engine reaches</text>
  <text x="16" y="40" fill="#777">${escaped(caption)}</text>
${rows.join('\n')}
  <line x1="${middle}" y1="${TOP - 6}" x2="${middle}" y2="${height - 14}" stroke="#222" stroke-dasharray="3 3"/>
</svg>
`
}

/** Share of the width: half of it is the bar itself, twice as good is all of it. */
function lengthOf({ bound, bar, reached }: Judgement): number {
  if (reached === null) return 0
  // With a bar of zero nothing is better than it.
  if (bar === 0) return reached <= 0 ? 0.5 : 0
  const goodness = bound === 'at least' ? reached / bar : 2 - reached / bar
  return Math.min(1, Math.max(0, goodness / 2))
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
