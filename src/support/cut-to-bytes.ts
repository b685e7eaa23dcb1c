/** At most `bytes` bytes of UTF-8, cut between characters, with an ellipsis where something is left out. */
export function cutToBytes(text: string, bytes: number): string {
  if (Buffer.byteLength(text) <= bytes) return text;
  const ellipsis = '…';
  let room = bytes - Buffer.byteLength(ellipsis);
  let cut = '';
  // By code point: a surrogate pair stays whole.
  for (const character of text) {
    room -= Buffer.byteLength(character);
    if (room < 0) break;
    cut += character;
  }
  return bytes < Buffer.byteLength(ellipsis) ? '' : `${cut}${ellipsis}`;
}
