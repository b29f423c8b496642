import { describe, expect, it } from 'vitest'
import { align } from './shape.ts'

const SHOWN = [' ✓ preflight           0.1s  lag 0s', '…', 'done  all']
const said = (...between: string[]) => [' ✓ preflight           0.2s  lag 1s', ...between, 'done  all']

describe('what a page shows is compared with what is printed', () => {
  it('without what is printed at a slow moment only', () => {
    expect(align(SHOWN, said(' ✓ checked             0.1s'), 'db1')).toHaveLength(2)
    const shown = SHOWN.filter((line) => line !== '…')
    expect(align(shown, said(), 'db1')).toHaveLength(2)
    expect(align(shown, said(' … 4 files copied       63%  25.9/41.2 GiB'), 'db1')).toHaveLength(2)
    const wait = ' … preflight              5s  waiting 5s for an agent: nobody takes tasks from its queue'
    const hint = '   Host alive: start tabletkeeper agent there. Host gone: tabletkeeper abandon x --host-lost'
    expect(align(shown, said(wait, hint), 'db1')).toHaveLength(2)
  })

  it('with everything else', () => {
    const shown = SHOWN.filter((line) => line !== '…')
    expect(align(shown, said('   Start it first.'), 'db1')).toBeUndefined()
    expect(align(shown, said(' … 4 files copied       63%', ' ✗ checked'), 'db1')).toBeUndefined()
    expect(align(shown, said(' … 4 files copied       63%', '  Start it first.'), 'db1')).toBeUndefined()
    expect(align([...shown, '   Start it first.'], said(), 'db1')).toBeUndefined()
  })
})
