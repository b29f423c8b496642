import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import {
  type ClientHttp2Session,
  connect,
  constants,
  createSecureServer,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2'
import type { AddressInfo } from 'node:net'
import type { Certificates } from './certificates.ts'

export interface FrontOptions {
  /** `127.0.0.1:<port>` of a Temporal that speaks no TLS. */
  readonly upstream: string
  readonly certificates: Certificates
  /** Who is let in: who shows a certificate of the authority, or who knows the key. */
  readonly admits: { readonly by: 'certificate' } | { readonly by: 'API key'; readonly key: string }
}

/** What stands before Temporal where it is served over TLS. */
export interface TlsFront extends AsyncDisposable {
  readonly address: string
  /** Calls that were let in. */
  readonly calls: number
}

/** Starts it on 127.0.0.1. It passes on call by call, since an API key is a header of each. */
export async function startTlsFront({ upstream, certificates, admits }: FrontOptions): Promise<TlsFront> {
  const [key, cert, ca] = await Promise.all(
    [certificates.serverKey, certificates.serverCertificate, certificates.authority].map((path) => readFile(path)),
  )
  const asksForCertificate = admits.by === 'certificate'
  const server = createSecureServer({
    ...(key && cert && ca ? { key, cert, ca } : {}),
    requestCert: asksForCertificate,
    rejectUnauthorized: asksForCertificate,
  })
  const sessions = new Set<ServerHttp2Session | ClientHttp2Session>()
  const keep = (session: ServerHttp2Session | ClientHttp2Session) => {
    sessions.add(session)
    session.on('error', () => {}).on('close', () => sessions.delete(session))
  }
  let behind: ClientHttp2Session | undefined
  let calls = 0
  server.on('session', keep)
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {})
    if (admits.by === 'API key' && headers.authorization !== `Bearer ${admits.key}`) return refuse(stream)
    calls += 1
    if (behind === undefined || behind.destroyed || behind.closed) {
      behind = connect(`http://${upstream}`)
      keep(behind)
    }
    passOn(stream, headers, behind)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    address: `127.0.0.1:${port}`,
    get calls() {
      return calls
    },
    [Symbol.asyncDispose]: async () => {
      server.close()
      for (const session of sessions) session.destroy()
    },
  }
}

/** gRPC's UNAUTHENTICATED, as an answer without content. */
function refuse(stream: ServerHttp2Stream): void {
  const answer = {
    ':status': 200,
    'content-type': 'application/grpc',
    'grpc-status': '16',
    'grpc-message': 'no such key',
  }
  stream.respond(answer, { endStream: true })
}

function passOn(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, behind: ClientHttp2Session): void {
  const { ':authority': _authority, ':scheme': _scheme, ...rest } = headers
  const call = behind.request(rest)
  let trailers: IncomingHttpHeaders = {}
  call.on('error', () => stream.close(constants.NGHTTP2_INTERNAL_ERROR))
  stream.on('close', () => call.close(constants.NGHTTP2_CANCEL))
  call.on('trailers', (received) => (trailers = received))
  stream.on('wantTrailers', () => stream.sendTrailers(trailers))
  call.on('response', (answer, flags) => {
    if (stream.destroyed) return
    const isWhole = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0
    stream.respond(answer, isWhole ? { endStream: true } : { waitForTrailers: true })
    if (!isWhole) call.pipe(stream)
  })
  stream.pipe(call)
}
