import { formatDuration } from '../../model/units.ts'

/** `2026-11-24 02:30 UTC` */
export function formatTime(time: Date): string {
  return `${time.toISOString().slice(0, 16).replace('T', ' ')} UTC`
}

/** `02:30:04` */
export function formatClock(time: Date): string {
  return time.toISOString().slice(11, 19)
}

/** How long ago, roughly: `8h`, `3d`, `12m`, `5s`. */
export function formatAge(since: Date, now: Date): string {
  const seconds = Math.max(0, Math.round((now.getTime() - since.getTime()) / 1000))
  if (seconds < 60) return `${seconds}s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m`
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)}h`
  return `${Math.floor(seconds / 86_400)}d`
}

/** Whole seconds for what goes on, tenths for what is over. */
export function formatElapsed(since: Date, now: Date): string {
  const milliseconds = Math.max(0, now.getTime() - since.getTime())
  return milliseconds < 60_000 ? `${Math.floor(milliseconds / 1000)}s` : formatDuration(milliseconds)
}

/** `lag 12s`: below a second nobody minds. */
export function formatLag(seconds: number): string {
  return `lag ${Math.floor(seconds)}s`
}
