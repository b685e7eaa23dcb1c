import { KubeError } from './client.ts';

/**
 * The lines of a UTF-8 byte stream without their line feeds; empty lines are left out. `onChunk` is called for each piece that arrives.
 * Half a line at the end means that the sender did not finish: KubeError Unreachable.
 */
export async function* splitLines(
  chunks: AsyncIterable<Uint8Array>,
  onChunk: () => void,
): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder();
  // Pieces, not one growing string: an object of a megabyte arrives in a hundred chunks.
  let pieces: string[] = [];
  for await (const chunk of chunks) {
    onChunk();
    const parts = decoder.decode(chunk, { stream: true }).split('\n');
    const last = parts.pop() ?? '';
    for (const part of parts) {
      const line = pieces.length === 0 ? part : pieces.join('') + part;
      pieces = [];
      if (line.trim() !== '') yield line;
    }
    if (last !== '') pieces.push(last);
  }
  const rest = pieces.join('') + decoder.decode();
  if (rest.trim() === '') return;
  throw new KubeError('Unreachable', `the watch ended in the middle of a line, after ${rest.length} characters of it`);
}
