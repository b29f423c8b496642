import { TabletkeeperError } from './errors.ts'

const TIME = /^(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2})(?:(:\d{2})(\.\d+)?)?(Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/

/**
 * Reads a time in RFC 3339; its seconds may be left out, its zone may not: a time is the same on every host.
 * @throws InvalidInput for anything else, and for a date or an hour that does not exist
 */
export function parseTime(text: string): Date {
  const [, date, minute, second = ':00', fraction = '', zone] = TIME.exec(text) ?? []
  if (zone === undefined) throw noTime(`${JSON.stringify(text)} is not a time with its zone`)
  const clock = `${date}T${minute}${second}`
  // `Date` takes 31 February for 3 March, and 24:00 for the next day.
  const asRead = new Date(`${clock}Z`)
  if (Number.isNaN(asRead.getTime()) || !asRead.toISOString().startsWith(clock)) {
    throw noTime(`there is no ${JSON.stringify(text)} in the calendar, or on the clock`)
  }
  return new Date(`${clock}${fraction}${zone}`)
}

function noTime(message: string): TabletkeeperError {
  return new TabletkeeperError('InvalidInput', message, { hint: 'Write it as 2026-11-24T02:30:00Z.' })
}
