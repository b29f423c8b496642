import { Readable } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import type { ByteRange } from '../object-store.ts'

/** Answers that may break off one after another without a byte. */
const BARREN_ANSWERS = 5
/** Answers that one object or range may take in all. */
const ANSWERS = 50

export interface Reading {
  readonly start: number
  /** Included; undefined where the answer did not say how long it is: it is not gone on with. */
  readonly end: number | undefined
  /** What is left of the same bytes. */
  again(rest: ByteRange): Promise<Readable>
  /** Looks at every piece, in order. */
  onBytes?(bytes: Buffer): void
  /** Why what was given is not what was stored, or undefined. */
  fault?(): Error | undefined
  /** In the words of the store's contract; `done` reads on after "to its end:". */
  error(error: unknown, done: string): Error
}

/** Gives every byte of a range: where an answer breaks off, it asks again for the rest. */
export class ResumingReader extends Readable {
  readonly #reading: Reading
  #body: Readable
  #at: number
  #isWhole = false
  #answers = 1
  #barren = 0

  constructor(body: Readable, reading: Reading) {
    super({ highWaterMark: 1024 * 1024 })
    this.#reading = reading
    this.#at = reading.start
    this.#body = this.#follow(body)
  }

  override _read(): void {
    this.#body.resume()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#body.destroy()
    done(error)
  }

  #follow(body: Readable): Readable {
    body.pause()
    body.on('data', (bytes: Buffer) => {
      this.#barren = 0
      this.#at += bytes.length
      const { end } = this.#reading
      if (end !== undefined && this.#at > end + 1) {
        this.#fail(new Error('more came than was asked for'))
        return
      }
      this.#reading.onBytes?.(bytes)
      if (!this.push(bytes)) body.pause()
    })
    const ended = (error?: unknown) => {
      if (this.destroyed || this.#isWhole || body !== this.#body) return
      const { end } = this.#reading
      if (end !== undefined && this.#at <= end) void this.#goOn(end, error ?? new Error('the answer ended too early'))
      // All bytes are there, and are not those that were stored.
      else if (error !== undefined) this.#fail(error)
      else this.#end()
    }
    body.once('end', ended)
    body.once('error', ended)
    body.once('close', ended)
    return body
  }

  #end(): void {
    const fault = this.#reading.fault?.()
    if (fault !== undefined) {
      this.destroy(fault)
      return
    }
    this.#isWhole = true
    this.push(null)
  }

  async #goOn(end: number, why: unknown): Promise<void> {
    this.#answers += 1
    this.#barren += 1
    // Nothing more comes by the old one.
    this.#body = new Readable({ read() {} })
    try {
      if (this.#answers > ANSWERS || this.#barren > BARREN_ANSWERS) throw why
      await pause(100 * 2 ** this.#barren * Math.random())
      if (this.destroyed) return
      const body = await this.#reading.again({ start: this.#at, end })
      if (this.destroyed) {
        body.destroy()
        return
      }
      this.#body = this.#follow(body)
      this.#body.resume()
    } catch (error) {
      this.#fail(error)
    }
  }

  #fail(error: unknown): void {
    const { start, end } = this.#reading
    const all = end === undefined ? '' : ` of ${end + 1 - start}`
    this.destroy(this.#reading.error(error, `at byte ${this.#at - start}${all}`))
  }
}
