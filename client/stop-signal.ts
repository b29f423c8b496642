/** Aborted by SIGINT or SIGTERM. Later ones change nothing: what is held by this process has to be ended in order. */
export function stopSignal(): AbortSignal {
  const stopping = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stopping.abort())
  return stopping.signal
}
