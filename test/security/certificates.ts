import { execFile, spawnSync } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Why no certificates can be made here; undefined where they can. */
export const NO_OPENSSL = spawnSync('openssl', ['version']).status === 0 ? undefined : 'there is no openssl'

/** Paths of PEM files. */
export interface Certificates {
  readonly authority: string
  readonly serverCertificate: string
  readonly serverKey: string
  readonly clientCertificate: string
  readonly clientKey: string
}

/** An authority with certificates of a server on this machine and of a client, valid for two days. */
export async function makeCertificates(directory: string): Promise<Certificates> {
  await mkdir(directory, { mode: 0o700 })
  const path = (name: string) => join(directory, name)
  const openssl = (...argv: string[]) => run('openssl', argv)
  const newKey = (name: string) => [
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-keyout',
    path(`${name}.key`),
    '-subj',
    `/CN=${name}`,
  ]
  await openssl('req', '-x509', ...newKey('authority'), '-out', path('authority.pem'), '-days', '2')
  const extensions = {
    server: 'subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth\n',
    client: 'extendedKeyUsage=clientAuth\n',
  }
  for (const [name, text] of Object.entries(extensions)) {
    await writeFile(path(`${name}.ext`), text)
    await openssl('req', ...newKey(name), '-out', path(`${name}.csr`))
    const signer = ['-CA', path('authority.pem'), '-CAkey', path('authority.key'), '-CAcreateserial']
    const signed = ['-in', path(`${name}.csr`), '-out', path(`${name}.pem`), '-extfile', path(`${name}.ext`)]
    await openssl('x509', '-req', ...signed, ...signer, '-days', '2')
  }
  return {
    authority: path('authority.pem'),
    serverCertificate: path('server.pem'),
    serverKey: path('server.key'),
    clientCertificate: path('client.pem'),
    clientKey: path('client.key'),
  }
}
