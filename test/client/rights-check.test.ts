import { describe, expect, it } from 'vitest'
import { judgeRights } from '../../client/checks/agent-rights.ts'
import { parseAlias } from '../../model/alias.ts'
import type { AgentRights } from '../../storage/agent-rights.ts'

const NOTHING: AgentRights = {
  removal: 'denied',
  elsewhere: { creation: 'denied', reading: 'unknown', removal: 'denied' },
}
const AGENTS = ['zone1-102', 'zone1-101'].map(parseAlias)

describe('what is said of the rights of agents', () => {
  it('that have what they need is who they are', () => {
    expect(judgeRights(AGENTS, NOTHING)).toEqual({
      verdict: 'OK',
      subject: 'rights',
      message: 'zone1-0000000101, zone1-0000000102: create and read',
      rights: NOTHING,
    })
  })

  it.each([
    [{ removal: 'allowed' }, 'remove backups of the shard'],
    [{ elsewhere: { creation: 'allowed', reading: 'unknown', removal: 'denied' } }, 'create outside of the shard'],
    [
      { removal: 'allowed', elsewhere: { creation: 'unknown', reading: 'allowed', removal: 'allowed' } },
      'remove backups of the shard; read, remove outside of the shard',
    ],
  ] as const)('that have more is a warning which says what more: %o', (more, told) => {
    const rights: AgentRights = { ...NOTHING, ...more }
    expect(judgeRights(AGENTS, rights)).toEqual({
      verdict: 'WARN',
      subject: 'rights',
      message: `zone1-0000000101, zone1-0000000102: more than needed: ${told}`,
      hint: expect.stringContaining('docs/operations.md has a policy'),
      rights,
    })
  })
})
