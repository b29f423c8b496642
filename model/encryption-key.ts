const KEY_LENGTH = 32

/** What to write into the file of a key. */
export const KEY_FILE_HINT = 'It holds 32 random bytes, or their base64: openssl rand -base64 32 makes one.'

/** The 32 bytes that a file holds as they are, or as base64; undefined when it holds anything else. */
export function parseEncryptionKey(content: Buffer): Buffer | undefined {
  if (content.length === KEY_LENGTH) return content
  const text = content.toString('latin1').trim()
  const key = Buffer.from(text, 'base64')
  return key.length === KEY_LENGTH && key.toString('base64') === text ? key : undefined
}
