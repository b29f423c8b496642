import { randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { type FileHandle, mkdir, open, rm } from 'node:fs/promises'
import { request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { crc32c } from '@node-rs/crc32'

/** Google Cloud Storage keeps nothing smaller of an upload that goes on. */
const GRANULE = 256 * 1024

interface Session {
  readonly path: string
  readonly file: FileHandle
  readonly bucket: string
  readonly name: string
  /** The query of the request that began it, with its preconditions. */
  readonly query: URLSearchParams
  readonly metadata: Readonly<Record<string, unknown>>
  persisted: number
  /** What whoever asks is answered, once it is complete. */
  answer: Promise<{ readonly status: number; readonly body: string }> | undefined
}

/**
 * Resumable uploads as Google Cloud Storage documents them, in front of fake-gcs-server, which takes a question for the state of an upload
 * for its end, appends what is sent a second time, forgets checksums and keeps what was cancelled. What is complete is handed to it in
 * one request.
 */
export class GcsSessions {
  readonly #directory: string
  /** The address of fake-gcs-server. */
  readonly #upstream: string
  readonly #sessions = new Map<string, Session>()

  constructor(directory: string, upstream: string) {
    this.#directory = directory
    this.#upstream = upstream
  }

  /** Answers a request of a resumable upload. @returns false when it is none */
  async answer(request: IncomingMessage, response: ServerResponse): Promise<boolean> {
    const url = new URL(request.url ?? '', 'http://gcs')
    const [, bucket] = /^\/upload\/storage\/v1\/b\/([^/]+)\/o$/.exec(url.pathname) ?? []
    if (bucket === undefined || url.searchParams.get('uploadType') !== 'resumable') return false
    const id = url.searchParams.get('upload_id')
    if (id === null) {
      await this.#begin(request, response, decodeURIComponent(bucket), url.searchParams)
      return true
    }
    const session = this.#sessions.get(id)
    if (session === undefined) {
      request.resume()
      send(response, 404, errorBody(404, 'no such upload'))
    } else if (request.method === 'DELETE') {
      await this.#forget(id, session)
      send(response, 499, '')
    } else await this.#take(session, request, response)
    return true
  }

  async dispose(): Promise<void> {
    for (const [id, session] of this.#sessions) await this.#forget(id, session)
  }

  async #begin(
    request: IncomingMessage,
    response: ServerResponse,
    bucket: string,
    query: URLSearchParams,
  ): Promise<void> {
    const body = await text(request)
    const metadata: Record<string, unknown> = body === '' ? {} : JSON.parse(body)
    const name = String(query.get('name') ?? metadata['name'])
    const found = await fetch(`${this.#upstream}/storage/v1/b/${encodeURIComponent(bucket)}`)
    if (!found.ok) return send(response, 404, errorBody(404, 'The specified bucket does not exist.'))
    const id = randomBytes(16).toString('hex')
    await mkdir(this.#directory, { recursive: true })
    const path = join(this.#directory, id)
    const file = await open(path, 'w+')
    this.#sessions.set(id, { path, file, bucket, name, query, metadata, persisted: 0, answer: undefined })
    response.setHeader(
      'location',
      `http://${request.headers.host}/upload/storage/v1/b/${encodeURIComponent(bucket)}/o?uploadType=resumable&upload_id=${id}`,
    )
    send(response, 200, '')
  }

  /** https://cloud.google.com/storage/docs/performing-resumable-uploads */
  async #take(session: Session, request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (session.answer !== undefined) {
      request.resume()
      const { status, body } = await session.answer
      return send(response, status, body)
    }
    const [, start, , total] = /^bytes (?:(\d+)-(\d+)|\*)\/(\d+|\*)$/.exec(request.headers['content-range'] ?? '') ?? []
    if (total === undefined || Number(start ?? 0) > session.persisted) {
      request.resume()
      return send(response, 400, errorBody(400, 'Invalid Content-Range'))
    }
    const whole = total === '*' ? undefined : Number(total)
    await this.#append(session, request, start === undefined ? session.persisted : Number(start), whole)
    if (response.destroyed) return
    if (whole !== undefined && session.persisted > whole) {
      return send(response, 400, errorBody(400, 'more was sent than that'))
    }
    if (whole === undefined || session.persisted < whole) {
      if (session.persisted > 0) response.setHeader('range', `bytes=0-${session.persisted - 1}`)
      return send(response, 308, '')
    }
    const [, declared] = /crc32c=([^,]+)/.exec(String(request.headers['x-goog-hash'] ?? '')) ?? []
    session.answer ??= this.#complete(session, declared)
    const { status, body } = await session.answer
    send(response, status, body)
  }

  /** Bytes that are there already are passed over. What comes before a connection breaks is kept, too. */
  async #append(session: Session, request: IncomingMessage, start: number, whole: number | undefined): Promise<void> {
    let at = start
    try {
      for await (const chunk of request) {
        const fresh: Buffer = chunk.subarray(Math.max(0, session.persisted - at))
        at += chunk.length
        let written = 0
        while (written < fresh.length) {
          const position = at - fresh.length + written
          written += (await session.file.write(fresh, written, undefined, position)).bytesWritten
        }
        session.persisted = Math.max(session.persisted, at - (at % GRANULE))
      }
    } catch {
      // The client will ask how much has come.
    }
    if (at === whole) session.persisted = at
  }

  async #complete(session: Session, declared: string | undefined): Promise<{ status: number; body: string }> {
    const wanted = declared ?? session.metadata['crc32c']
    if (wanted !== undefined && wanted !== (await this.#checksum(session))) {
      return { status: 400, body: errorBody(400, 'Provided CRC32C does not match the calculated one') }
    }
    const query = new URLSearchParams(session.query)
    query.set('uploadType', 'multipart')
    query.set('name', session.name)
    const boundary = randomBytes(16).toString('hex')
    const head = `--${boundary}\r\ncontent-type: application/json\r\n\r\n${JSON.stringify({ ...session.metadata, name: session.name })}\r\n--${boundary}\r\ncontent-type: application/octet-stream\r\n\r\n`
    const upload = httpRequest(
      `${this.#upstream}/upload/storage/v1/b/${encodeURIComponent(session.bucket)}/o?${query}`,
      {
        method: 'POST',
        headers: { 'content-type': `multipart/related; boundary=${boundary}` },
      },
    )
    const answered = new Promise<IncomingMessage>((resolve, reject) => {
      upload.on('response', resolve)
      upload.on('error', reject)
    })
    upload.write(head)
    if (session.persisted > 0) {
      await pipeline(createReadStream(session.path, { end: session.persisted - 1 }), upload, { end: false })
    }
    upload.end(`\r\n--${boundary}--\r\n`)
    const answer = await answered
    return { status: answer.statusCode ?? 500, body: await text(answer) }
  }

  async #checksum({ path, persisted }: Session): Promise<string> {
    let crc = 0
    if (persisted > 0) {
      for await (const chunk of createReadStream(path, { end: persisted - 1 })) crc = crc32c(chunk, crc)
    }
    const bytes = Buffer.alloc(4)
    bytes.writeUInt32BE(crc)
    return bytes.toString('base64')
  }

  async #forget(id: string, { file, path }: Session): Promise<void> {
    this.#sessions.delete(id)
    await file.close()
    await rm(path, { force: true })
  }
}

function send(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(body)
}

function errorBody(code: number, message: string): string {
  return JSON.stringify({ error: { code, message, errors: [{ domain: 'global', message }] } })
}
