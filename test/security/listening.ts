import { readdir, readFile, readlink } from 'node:fs/promises'

const LISTEN = '0A'

/** Addresses of TCP that a process listens on: `127.0.0.1:7480`; those of IPv6 as the kernel writes them. */
export async function listeningAddresses(pid: number): Promise<string[]> {
  const folder = `/proc/${pid}/fd`
  const links = await Promise.all((await readdir(folder)).map((fd) => readlink(`${folder}/${fd}`).catch(() => '')))
  const inodes = new Set(links.flatMap((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? []))
  const tables = await Promise.all(['tcp', 'tcp6'].map((name) => readFile(`/proc/net/${name}`, 'utf8')))
  return tables.flatMap((table) =>
    table.split('\n').flatMap((line) => {
      const [, local = '', , state, , , , , , inode = ''] = line.trim().split(/\s+/)
      return state === LISTEN && inodes.has(inode) ? [readable(local)] : []
    }),
  )
}

/** proc(5): the address in hexadecimal, its bytes from the last to the first. */
function readable(address: string): string {
  const [host = '', port = ''] = address.split(':')
  const bytes = host.length === 8 ? Buffer.from(host, 'hex').reverse().join('.') : host
  return `${bytes}:${Number.parseInt(port, 16)}`
}
