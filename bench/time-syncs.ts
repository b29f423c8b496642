import { registerHooks } from 'node:module'

const EXTENSION = import.meta.url.slice(import.meta.url.lastIndexOf('.'))
const ORIGINAL = new URL(`../mysql/system/file-system-sync${EXTENSION}`, import.meta.url).href
const TIMED = new URL(`timed-syncs${EXTENSION}`, import.meta.url).href

// Whoever is imported after this file waits for the disk through `timed-syncs.ts`: the copy engine has no other reason to tell how long
// that took.
registerHooks({
  resolve(specifier, context, next) {
    const resolved = next(specifier, context)
    return resolved.url === ORIGINAL && context.parentURL !== TIMED ? { ...resolved, url: TIMED } : resolved
  },
})
