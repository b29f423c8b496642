import { describe, expect, test } from 'vitest'
import { STEP_TITLES } from '../../model/runs.ts'
import { allCases, FAULTS, needsOf, STEPS, WORKFLOWS } from './cases.ts'
import { chooseCases } from './choose.ts'
import { parseOptions } from './options.ts'
import { randomOf } from './random.ts'

const CASES = allCases()
const ids = (cases: readonly { readonly id: string }[]) => cases.map(({ id }) => id)

describe('the cases of the fault matrix', () => {
  test('are more than three hundred, each once', () => {
    expect(CASES.length).toBeGreaterThan(300)
    expect(new Set(ids(CASES)).size).toBe(CASES.length)
  })

  test('are of steps that the product knows, each of which can be killed, cancelled, terminated and reset', () => {
    for (const workflow of WORKFLOWS) {
      for (const step of STEPS[workflow]) {
        expect(STEP_TITLES).toHaveProperty(step)
        for (const fault of ['kill agent', 'kill all', 'cancel', 'terminate', 'reset'])
          expect(ids(CASES)).toContain(`${workflow}/${step}/${fault}`)
      }
    }
  })

  test('leave out what cannot be: no mysqld runs while files are copied, and no step of a restore writes storage', () => {
    expect(ids(CASES)).not.toContain('backup/copyFiles/kill mysqld')
    expect(ids(CASES)).not.toContain('bootstrap/takeTablet/kill mysqld')
    expect(ids(CASES)).toContain('restore/takeTablet/kill mysqld')
    expect(CASES.filter(({ workflow, fault }) => workflow === 'restore' && fault === 'store full')).toEqual([])
    expect(ids(CASES)).not.toContain('backup/publishBackup/Temporal away')
  })

  test('say what they need of the machine', () => {
    const needs = (id: string) => CASES.filter((one) => one.id === id).flatMap(needsOf)
    expect(needs('backup/copyFiles/kill agent')).toEqual([])
    expect(needs('backup/copyFiles/store full')).toEqual(['mounts'])
    expect(needs('backup-reflink/cloneFiles/disk full')).toEqual(['clones', 'mounts'])
  })
})

describe('a choice of cases', () => {
  test('is the same for the same seed, and a longer one begins with the shorter', () => {
    expect(chooseCases(CASES, 60, 7)).toEqual(chooseCases(CASES, 60, 7))
    expect(chooseCases(CASES, 60, 7).slice(0, 20)).toEqual(chooseCases(CASES, 20, 7))
    expect(ids(chooseCases(CASES, 60, 7))).not.toEqual(ids(chooseCases(CASES, 60, 8)))
  })

  test('covers every fault first, and then every workflow of each', () => {
    const few = chooseCases(CASES, FAULTS.length, 3)
    expect(new Set(few.map(({ fault }) => fault)).size).toBe(FAULTS.length)
    const more = chooseCases(CASES, 4 * FAULTS.length, 3)
    const pairs = new Set(more.map(({ fault, workflow }) => `${fault}/${workflow}`))
    for (const workflow of WORKFLOWS) expect(pairs).toContain(`kill all/${workflow}`)
    const counts = WORKFLOWS.map((workflow) => more.filter((one) => one.workflow === workflow).length)
    expect(Math.max(...counts) - Math.min(...counts)).toBeLessThan(12)
  })

  test('of all is all of them', () => {
    expect(ids(chooseCases(CASES, 10_000, 1)).sort()).toEqual(ids(CASES).sort())
  })
})

describe('drawn numbers', () => {
  test('are the same for the same words, between 0 and 1, and spread', () => {
    const random = randomOf(1, 'backup/copyFiles/kill agent')
    const drawn = Array.from({ length: 1_000 }, random)
    expect(randomOf(1, 'backup/copyFiles/kill agent')()).toBe(drawn[0])
    expect(Math.min(...drawn)).toBeGreaterThanOrEqual(0)
    expect(Math.max(...drawn)).toBeLessThan(1)
    expect(drawn.filter((number) => number < 0.5).length).toBeGreaterThan(400)
    expect(drawn.filter((number) => number < 0.5).length).toBeLessThan(600)
  })
})

describe('arguments', () => {
  test('have defaults: all cases, or one of the one that is named', () => {
    expect(parseOptions([], CASES)).toMatchObject({ runs: CASES.length, seed: 1, worlds: 3, only: undefined })
    expect(parseOptions(['--only', 'backup/copyFiles/reset'], CASES)).toMatchObject({
      runs: 1,
      only: { fault: 'reset' },
    })
    expect(parseOptions(['--runs', '5', '--seed', '9'], CASES)).toMatchObject({ runs: 5, seed: 9, faults: [] })
    expect(parseOptions(['--fault', 'reset', '--fault', 'kill all'], CASES).faults).toEqual(['reset', 'kill all'])
  })

  test.each([
    [['--runs', 'many'], '--runs many: write a whole number from 1 up'],
    [
      ['--only', 'backup/copyFiles/flood'],
      /there is no case backup\/copyFiles\/flood; there are backup\/copyFiles\/kill agent/,
    ],
    [['--fault', 'flood'], '--fault flood: there are kill agent, kill control,'],
    [['--often'], /Unknown option '--often'/],
  ])('%j are refused', (argv, message) => {
    expect(() => parseOptions(argv, CASES)).toThrow(message)
  })
})
