import { describe, expect, test } from 'vitest'
import { tablesOf } from '../../bench/data-set.ts'
import { parseOptions } from '../../bench/options.ts'

function parsed(...commandLine: string[]) {
  const options = parseOptions(commandLine, '/results')
  if (options === 'help') throw new Error('help was not asked for')
  return options
}

describe('the command line of the benchmark', () => {
  test('measures everything at 2 GB in seven rounds by default', () => {
    expect(parsed()).toMatchObject({
      megabytes: 2048,
      rounds: 7,
      smallFiles: 100_000,
      named: false,
      results: '/results',
    })
    expect([...parsed().parts]).toEqual(['mixed', 'many', 'huge', 'small-files', 's3', 'runs'])
  })

  test('--quick is small, and what is given beside it wins', () => {
    expect(parsed('--quick')).toMatchObject({ megabytes: 128, rounds: 3, smallFiles: 2000 })
    expect(parsed('--quick', '--rounds', '1')).toMatchObject({ megabytes: 128, rounds: 1 })
  })

  test('parts that are named are the only ones', () => {
    expect([...parsed('--shape', 'huge', '--part', 'runs').parts]).toEqual(['huge', 'runs'])
    expect([...parsed('--small-files', '0').parts]).not.toContain('small-files')
  })

  test('a mistake is told with what would be right', () => {
    expect(() => parsed('--shape', 'round')).toThrow(/"round" is no part; they are mixed/)
    expect(() => parsed('--rounds', 'many')).toThrow(/--rounds takes a whole number from 1 up/)
    expect(() => parsed('--size', '1')).toThrow(/--size .* 32 up/)
    expect(() => parsed('--fast')).toThrow(/--fast/)
  })
})

describe('the shapes of data sets', () => {
  test.each(['mixed', 'many', 'huge'] as const)('%s has the size that was asked for', (shape) => {
    const tables = tablesOf(shape, 3000)
    expect(tables.reduce((sum, { megabytes }) => sum + megabytes, 0)).toBeCloseTo(3000)
    expect(new Set(tables.map(({ name }) => name)).size).toBe(tables.length)
  })

  test('mixed has half of it in one table, huge two thirds, many the same in each of 32', () => {
    expect(tablesOf('mixed', 2048)[0]?.megabytes).toBe(1024)
    expect(tablesOf('huge', 3072)[0]?.megabytes).toBe(2048)
    expect(new Set(tablesOf('many', 2048).map(({ megabytes }) => megabytes))).toEqual(new Set([64]))
  })
})
