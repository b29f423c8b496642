import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A store of S3's protocol that refuses everybody, and tells them all that they said, as S3 does when a signature is wrong. */
export async function startRudeStore(): Promise<AsyncDisposable & { readonly endpoint: string }> {
  const server = createServer((request, response) => {
    request.resume().on('end', () => {
      const said = request.rawHeaders.map((text) => text.replaceAll(/[<&]/g, '')).join('\n')
      response
        .writeHead(403, { 'content-type': 'application/xml' })
        .end(
          `<?xml version="1.0"?><Error><Code>SignatureDoesNotMatch</Code><Message>The signature does not match</Message>` +
            `<StringToSign>${said}</StringToSign><CanonicalRequest>${said}</CanonicalRequest></Error>`,
        )
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    endpoint: `http://127.0.0.1:${port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      server.close()
    },
  }
}
