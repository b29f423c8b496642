import { escape as quoted } from 'mysql2'

/** A value for a statement, such as a password, that no error text, log or JSON shows. */
export class Secret {
  readonly #text: string

  constructor(text: string) {
    this.#text = text
  }

  /** Called by mysql2 where it fills in a `?`. */
  toSqlString(): string {
    return quoted(this.#text)
  }

  toString(): string {
    return '(secret)'
  }

  toJSON(): string {
    return this.toString()
  }
}
