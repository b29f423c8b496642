import { buffer } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { releasePiece, SocketBody } from '../../storage/s3/socket-body.ts'

const MIB = 1024 ** 2

/** A body that has come whole. */
function bodyOf(bytes: Buffer): { readonly body: SocketBody; readonly told: readonly string[] } {
  const told: string[] = []
  const source = { resume: () => {}, ended: () => told.push('ended'), abandon: () => told.push('abandoned') }
  const body = new SocketBody(bytes.length, source)
  for (let at = 0; at < bytes.length; ) {
    const count = bytes.copy(body.room(), 0, at)
    body.took(count)
    at += count
  }
  return { body, told }
}

test('a body gives what was put into its room, and says when the connection is free', async () => {
  const bytes = Buffer.from(Array.from({ length: 2.5 * MIB }, (_, at) => at % 251))
  const { body, told } = bodyOf(bytes)
  expect(told).toEqual(['ended'])
  expect(bytes.equals(await buffer(body))).toBe(true)
  expect((await buffer(bodyOf(Buffer.alloc(0)).body)).length).toBe(0)
})

test('a body that nobody wants any more abandons its connection, once it has come whole it does not', async () => {
  const told: string[] = []
  const source = { resume: () => {}, ended: () => {}, abandon: () => told.push('abandoned') }
  const body = new SocketBody(MIB, source)
  body.took(1000)
  body.destroy()
  expect(told).toEqual(['abandoned'])
  const whole = bodyOf(Buffer.alloc(1000))
  whole.body.destroy()
  expect(whole.told).toEqual(['ended'])
})

test('the memory of a piece is given back when its reader says so, that of other buffers is not', () => {
  const { body } = bodyOf(Buffer.alloc(1000, 1))
  const piece: Buffer = body.read()
  releasePiece(piece)
  expect(piece).toHaveLength(0)
  const other = Buffer.allocUnsafeSlow(1000)
  releasePiece(other)
  expect(other).toHaveLength(1000)
})
