import { describe, expect, test } from 'vitest'
import { fileSystemOf } from '../../bench/machine.ts'
import { parseCpuTimes } from '../../bench/quiet.ts'

const MOUNTS = `/dev/vda / ext4 rw,relatime 0 0
proc /proc proc rw 0 0
tmpfs /var tmpfs rw 0 0
/dev/vdb /var xfs rw 0 0
/dev/vdc /var/tmp/deep btrfs rw 0 0
`

describe('what is known of the machine', () => {
  test('the file system of a path is that of the innermost mount, the last one at its place', () => {
    expect(fileSystemOf('/home/somebody', MOUNTS)).toBe('ext4')
    expect(fileSystemOf('/var/tmp', MOUNTS)).toBe('xfs')
    expect(fileSystemOf('/var/tmp/deep/bench', MOUNTS)).toBe('btrfs')
    expect(fileSystemOf('/variable', MOUNTS)).toBe('ext4')
  })

  test('waiting for a disk counts as busy; time of guests is counted once', () => {
    const stat = 'cpu  100 1 50 800 40 2 3 4 90 1\ncpu0 50 0 25 400 20 1 1 2 45 0\nintr 1\n'
    expect(parseCpuTimes(stat)).toEqual({ total: 1000, idle: 800 })
  })
})
