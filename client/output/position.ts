/** `3eb11dad…:1-918273`: enough to tell positions apart at a glance. Of several servers, the first and how many more. */
export function shortenPosition(position: string): string {
  const [first = '', ...more] = position.replace(/^MySQL56\//, '').split(',')
  const [, server, transactions] = /^([0-9a-f]{8})[0-9a-f-]*:(.*)$/i.exec(first.trim()) ?? []
  const text = server === undefined ? first : `${server}…:${transactions}`
  return more.length === 0 ? text : `${text} + ${more.length} more`
}
