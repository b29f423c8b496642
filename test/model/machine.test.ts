import { expect, test } from 'vitest'
import { agentIdentity, isElsewhere, type Machine } from '../../model/machine.ts'

const here: Machine = { id: '0f4c2d1e5b6a47889d0c1b2a3f4e5d6c', host: 'db1' }

test('an agent calls itself by its process and its machine', () => {
  expect(agentIdentity(here, 4711)).toBe('4711@db1#0f4c2d1e5b6a')
})

test.each([
  ['the same process', agentIdentity(here, 4711), false],
  ['the process before it', agentIdentity(here, 12), false],
  ['a clone with a machine id of its own', agentIdentity({ ...here, id: 'f'.repeat(32) }, 4711), true],
  ['a clone with a name of its own', agentIdentity({ ...here, host: 'db9' }, 4711), true],
  ['a worker that is no agent of ours', '4711@db1', true],
])('is on another machine or not: %s', (_what, identity, elsewhere) => {
  expect(isElsewhere(identity, here)).toBe(elsewhere)
})

test('a machine without an id goes by its name, whatever is in that', () => {
  const named = { id: 'pod#1', host: 'pod#1' }
  expect(isElsewhere(agentIdentity(named, 1), named)).toBe(false)
  expect(isElsewhere(agentIdentity({ id: 'pod#2', host: 'pod#2' }, 1), named)).toBe(true)
})
