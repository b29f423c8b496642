import { once } from 'node:events'
import { isIP } from 'node:net'
import { type ConnectionOptions, connect } from 'node:tls'
import { messageOf, TabletkeeperError } from '../model/errors.ts'
import type { TemporalSettings } from './temporal-target.ts'

/** How long a server gets to say the first word after the handshake, in milliseconds. */
const ANSWER_LIMIT = 3_000

/**
 * Finds out whether it is TLS that keeps us from Temporal, by a handshake of our own: the SDK only says that there is no connection.
 * @returns an InvalidConfig to show, or undefined when TLS is not used or not what is wrong
 */
export async function tlsProblem({ connection, target }: TemporalSettings): Promise<TabletkeeperError | undefined> {
  const { tls } = connection
  if (!tls) return undefined
  const { serverRootCACertificate: ca, clientCertPair, serverNameOverride } = tls === true ? {} : tls
  const { hostname, port } = new URL(`https://${target.address}`)
  const host = hostname.replace(/^\[|\]$/g, '')
  const name = serverNameOverride ?? (isIP(host) === 0 ? host : undefined)
  try {
    await shakeHands({
      host,
      port: Number(port || 443),
      ALPNProtocols: ['h2'],
      ...(name === undefined ? {} : { servername: name }),
      ...(ca === undefined ? {} : { ca: Buffer.from(ca) }),
      ...(clientCertPair === undefined
        ? {}
        : { cert: Buffer.from(clientCertPair.crt), key: Buffer.from(clientCertPair.key) }),
    })
    return undefined
  } catch (error) {
    return explained(error, target.address)
  }
}

/** Rejects when either side refuses the other. A client that is refused hears of it only after the handshake. */
async function shakeHands(options: ConnectionOptions): Promise<void> {
  const socket = connect(options)
  const late = AbortSignal.timeout(ANSWER_LIMIT)
  try {
    await once(socket, 'secureConnect', { signal: late })
    await once(socket, 'data', { signal: late })
  } finally {
    socket.on('error', () => undefined).destroy()
  }
}

function explained(error: unknown, address: string): TabletkeeperError | undefined {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  const explain = (message: string, hint: string) =>
    new TabletkeeperError('InvalidConfig', `${message}: ${messageOf(error).trim()}`, { cause: error, hint })
  if (/^ERR_SSL_.*ALERT_.*(CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED)/.test(code)) {
    return explain(
      `Temporal at ${address} does not accept our certificate`,
      'Look at TEMPORAL_TLS_CLIENT_CERT_PATH and TEMPORAL_TLS_CLIENT_KEY_PATH, or at the profile that sets them.',
    )
  }
  if (/CERT|SIGNATURE|ISSUER|CRL/.test(code) && !code.startsWith('ERR_SSL_') && !code.startsWith('ERR_OSSL_')) {
    return explain(
      `the certificate of Temporal at ${address} is not trusted`,
      'TEMPORAL_TLS_SERVER_CA_CERT_PATH names the CA that signed it, TEMPORAL_TLS_SERVER_NAME the name that it is for.',
    )
  }
  if (!/^ERR_(SSL|OSSL|TLS)_|^EPROTO$/.test(code)) return undefined
  return explain(
    `TLS with Temporal at ${address} fails`,
    'Does it speak TLS there? Are the files of the TEMPORAL_TLS_… variables certificates and keys in PEM?',
  )
}
