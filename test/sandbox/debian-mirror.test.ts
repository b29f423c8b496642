import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { findDebianMirror } from '../../sandbox/debian-mirror.ts'

const KEYRING = 'signed-by=/usr/share/keyrings/debian-archive-keyring.gpg'

describe("the machine's own Debian mirror", () => {
  let directory: string

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'apt-'))
  })

  afterEach(() => rm(directory, { recursive: true }))

  async function sources(files: Record<string, string>) {
    for (const [name, text] of Object.entries(files)) {
      await mkdir(dirname(join(directory, name)), { recursive: true })
      await writeFile(join(directory, name), text)
    }
    return findDebianMirror(directory)
  }

  it('is read from deb822 sources, past comments and the security archive', async () => {
    const text = `Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main

Types: deb deb-src
# a comment inside
URIs: http://mirror.example/debian/
Suites: bookworm
  bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/mine.gpg
`
    expect(await sources({ 'sources.list.d/debian.sources': text })).toEqual({
      uri: 'http://mirror.example/debian/',
      trust: ['signed-by=/usr/share/keyrings/mine.gpg'],
    })
  })

  it('is read from one-line sources, past third parties and what is commented out', async () => {
    const text = `# deb http://old.example/debian bookworm main
deb-src http://source.example/debian bookworm main
deb [arch=amd64 signed-by=/k.gpg] https://packages.example/cloud cloud main
deb [arch=amd64 trusted=yes] https://mirror.example/debian bookworm main # ours
`
    expect(await sources({ 'sources.list': text })).toEqual({
      uri: 'https://mirror.example/debian',
      trust: ['trusted=yes'],
    })
  })

  it('is trusted by the keyring of Debian when its entry names none', async () => {
    const found = await sources({ 'sources.list': 'deb http://mirror.example/debian bookworm main\n' })
    expect(found?.trust).toEqual([KEYRING])
  })

  it('is not an entry that is switched off, nor a file that apt does not read', async () => {
    const stanza = 'Types: deb\nURIs: http://mirror.example/debian\nSuites: sid\nComponents: main\n'
    const found = await sources({
      'sources.list.d/off.sources': `Enabled: no\n${stanza}`,
      'sources.list.d/debian.sources.disabled': stanza,
    })
    expect(found).toBeUndefined()
  })

  it('does not exist on Ubuntu', async () => {
    expect(await sources({ 'sources.list': 'deb http://archive.example/ubuntu noble main\n' })).toBeUndefined()
  })
})
