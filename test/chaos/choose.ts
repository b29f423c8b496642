import type { Case } from './cases.ts'
import { randomOf, shuffled } from './random.ts'

/**
 * Some of the cases, in the order in which they are run: the first few cover all faults, then all pairs of fault and workflow, and the
 * steps as evenly as can be. The same for the same seed; more runs only add cases at the end.
 */
export function chooseCases(cases: readonly Case[], runs: number, seed: number): Case[] {
  const left = shuffled(cases, randomOf('order', seed))
  const seen = new Map<string, number>()
  const count = (key: string): number => seen.get(key) ?? 0
  const weightOf = ({ fault, workflow, step }: Case): number =>
    [fault, `${fault}/${workflow}`, workflow, `${workflow}/${step}`].reduce(
      (weight, key) => weight * 1_000 + count(key),
      0,
    )
  const chosen: Case[] = []
  while (chosen.length < runs && left.length > 0) {
    const weights = left.map(weightOf)
    const [next] = left.splice(weights.indexOf(Math.min(...weights)), 1)
    if (next === undefined) break
    chosen.push(next)
    const { fault, workflow, step } = next
    for (const key of [fault, `${fault}/${workflow}`, workflow, `${workflow}/${step}`]) seen.set(key, count(key) + 1)
  }
  return chosen
}
