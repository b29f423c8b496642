import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { runCommand } from '../../sandbox/command.ts'
import { tryToDownload } from '../../sandbox/download.ts'

describe('a download', () => {
  beforeEach(() => {
    vi.spyOn(process.stderr, 'write').mockReturnValue(true)
  })
  afterEach(() => {
    vi.restoreAllMocks()
  })

  /** Counts how often it is tried. */
  function counted(attempt: (count: number) => Promise<string>) {
    const tries = vi.fn(() => attempt(tries.mock.calls.length))
    return tries
  }

  it('that breaks twice succeeds, and says what happened', async () => {
    const tries = counted(async (count) => (count < 3 ? await failing('connection reset by peer') : 'got it'))
    expect(await tryToDownload('go install', tries, [1, 1])).toBe('got it')
    expect(tries).toHaveBeenCalledTimes(3)
    expect(vi.mocked(process.stderr.write).mock.calls.join('')).toMatch(
      /go install failed, and is tried again in .*connection reset by peer/s,
    )
  })

  it('that breaks each time fails as it did last', async () => {
    const tries = counted((count) => failing(`no ${count}`))
    await expect(tryToDownload('go install', tries, [1, 1])).rejects.toMatchObject({
      type: 'NotFound',
      message: expect.stringContaining('no 3'),
    })
  })

  it.each([
    ['is not there', () => runCommand('no-such-program', [])],
    ['is not there for env', () => runCommand('env', ['no-such-program'])],
    ['takes too long', () => runCommand('sleep', ['600'], { deadline: 20 })],
  ])('by a program that %s is not tried again', async (_what, run) => {
    const tries = counted(run)
    await expect(tryToDownload('it', tries, [1, 1])).rejects.toMatchObject({ type: 'NotFound' })
    expect(tries).toHaveBeenCalledTimes(1)
  })
})

function failing(text: string): Promise<string> {
  return runCommand('sh', ['-c', `echo ${text} >&2; exit 1`])
}
