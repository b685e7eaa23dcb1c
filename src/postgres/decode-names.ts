import { isAscii } from 'node:buffer';

/** PostgreSQL's names of encodings, where TextDecoder's differ. Latin 1 is missing on purpose: its own is Windows-1252. */
const labels: Readonly<Record<string, string | undefined>> = {
  UTF8: 'utf-8',
  LATIN2: 'iso-8859-2',
  LATIN3: 'iso-8859-3',
  LATIN4: 'iso-8859-4',
  LATIN6: 'iso-8859-10',
  LATIN7: 'iso-8859-13',
  LATIN8: 'iso-8859-14',
  LATIN9: 'iso-8859-15',
  LATIN10: 'iso-8859-16',
  ISO_8859_5: 'iso-8859-5',
  ISO_8859_6: 'iso-8859-6',
  ISO_8859_7: 'iso-8859-7',
  ISO_8859_8: 'iso-8859-8',
  WIN866: 'ibm866',
  WIN874: 'windows-874',
  WIN1250: 'windows-1250',
  WIN1251: 'windows-1251',
  WIN1252: 'windows-1252',
  WIN1253: 'windows-1253',
  WIN1254: 'windows-1254',
  WIN1255: 'windows-1255',
  WIN1256: 'windows-1256',
  WIN1257: 'windows-1257',
  WIN1258: 'windows-1258',
  KOI8R: 'koi8-r',
  KOI8U: 'koi8-u',
  EUC_JP: 'euc-jp',
  EUC_KR: 'euc-kr',
  EUC_CN: 'gb18030',
  GBK: 'gb18030',
  GB18030: 'gb18030',
  BIG5: 'big5',
  SJIS: 'shift_jis',
};

/**
 * Reads names in the encoding of an archive, by PostgreSQL's name of it. Bytes that are none in it (SQL_ASCII lets everything
 * pass) are read as Latin 1, so that different names stay different.
 */
export function decodeNames(encoding: string): (bytes: Uint8Array) => string {
  if (encoding === 'LATIN1') return latin1;
  const decoder = new TextDecoder(labels[encoding] ?? 'utf-8', { fatal: true, ignoreBOM: true });
  return (bytes) => {
    // Names of one byte each are kept so, and read so: most are.
    if (isAscii(bytes)) return latin1(bytes);
    try {
      return decoder.decode(bytes);
    } catch {
      return latin1(bytes);
    }
  };
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
}
