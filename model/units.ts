import { TabletkeeperError } from './errors.ts'

/** A length of time in whole milliseconds. */
export type Milliseconds = number & { readonly __brand: 'Milliseconds' }

/** A count of bytes. */
export type Bytes = number & { readonly __brand: 'Bytes' }

const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const
const DURATION = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/

/**
 * Reads `30s`, `15m`, `1.5h`, `2d`.
 * @throws InvalidInput
 */
export function parseDuration(text: string): Milliseconds {
  const [, amount, unit] = DURATION.exec(text) ?? []
  const milliseconds = Math.round(Number(amount) * UNITS[unit as keyof typeof UNITS])
  if (!Number.isSafeInteger(milliseconds)) {
    throw new TabletkeeperError('InvalidInput', `${JSON.stringify(text)} is not a duration`, {
      hint: 'Write a number and ms, s, m, h or d: 30s, 15m, 2d.',
    })
  }
  return milliseconds as Milliseconds
}

const SIZE_UNITS = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3, TiB: 1024 ** 4 } as const
const SIZE = /^(\d+(?:\.\d+)?) ?(B|KiB|MiB|GiB|TiB)$/

/**
 * Reads `8MiB`, `1.5 GiB`.
 * @throws InvalidInput
 */
export function parseSize(text: string): Bytes {
  const [, amount, unit] = SIZE.exec(text) ?? []
  const bytes = Math.round(Number(amount) * SIZE_UNITS[unit as keyof typeof SIZE_UNITS])
  if (!Number.isSafeInteger(bytes)) {
    throw new TabletkeeperError('InvalidInput', `${JSON.stringify(text)} is not a size`, {
      hint: 'Write a number and B, KiB, MiB, GiB or TiB: 8MiB, 1.5GiB.',
    })
  }
  return bytes as Bytes
}

/** `0.4s`, `19.9s`, `1m58s`, `2h05m`, `3d4h`: what a person reads at a glance. */
export function formatDuration(milliseconds: number): string {
  const seconds = milliseconds / 1000
  if (seconds < 59.95) return `${seconds.toFixed(1)}s`
  const whole = Math.round(seconds)
  if (whole < 3600) return `${Math.floor(whole / 60)}m${String(whole % 60).padStart(2, '0')}s`
  const minutes = Math.floor(whole / 60)
  if (minutes < 48 * 60) return `${Math.floor(minutes / 60)}h${String(minutes % 60).padStart(2, '0')}m`
  return `${Math.floor(minutes / 1440)}d${Math.floor((minutes % 1440) / 60)}h`
}

/** `0 B`, `980 KiB`, `41.2 GiB`. */
export function formatBytes(bytes: number): string {
  const names = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']
  let value = bytes
  let at = 0
  while (value >= 999.95 && at < names.length - 1) {
    value /= 1024
    at += 1
  }
  return `${at === 0 || value >= 99.95 ? value.toFixed(0) : value.toFixed(1)} ${names[at]}`
}

/** Amounts with their unit written once where it is the same: `25.9/41.2 GiB`, `980 KiB/41.2 GiB`. */
export function formatAmounts(amounts: readonly number[], separator: string): string {
  const shown = amounts.map(formatBytes)
  const units = new Set(shown.map((text) => text.slice(text.indexOf(' '))))
  if (units.size !== 1) return shown.join(separator)
  const [unit] = units
  return `${shown.map((text) => text.slice(0, text.indexOf(' '))).join(separator)}${unit}`
}
