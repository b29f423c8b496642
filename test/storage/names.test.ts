import { posix } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { finalNameOf, isVisible, temporaryNameOf } from '../../storage/file/names.ts'
import { assertKey, assertPrefix } from '../../storage/object-key.ts'

const accepted = (check: (text: string) => void, text: string) => {
  try {
    check(text)
    return true
  } catch {
    return false
  }
}

const anyName = fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom('.', '/', 'a', '\\', '\0', '-') }))

test('no key that is accepted leaves the root, and none is another way to write a second one', () => {
  fc.assert(
    fc.property(anyName, (text) => {
      if (!accepted(assertKey, text)) return
      const path = posix.join('/store', text)
      expect(path.startsWith('/store/')).toBe(true)
      expect(path.slice('/store/'.length)).toBe(text)
    }),
  )
})

test('a beginning of a key that is accepted is accepted as a prefix, unless it ends at a dot that begins a name', () => {
  const key = fc
    .array(fc.stringMatching(/^[a-z0-9][a-z0-9.-]{0,8}$/), { minLength: 1, maxLength: 4 })
    .map((parts) => parts.join('/'))
  fc.assert(
    fc.property(key, fc.nat(), (text, cut) => {
      expect(accepted(assertPrefix, text.slice(0, cut % (text.length + 1)))).toBe(true)
    }),
  )
})

test('a temporary name tells the name that it is for, and is never listed', () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1 }), (name) => {
      const temporary = temporaryNameOf(name)
      expect(finalNameOf(temporary)).toBe(name)
      expect(isVisible(temporary, false)).toBe(false)
      expect(temporaryNameOf(name)).not.toBe(temporary)
    }),
  )
})
