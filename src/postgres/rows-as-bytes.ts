import type { Connection } from './connection.ts';
import { decodeNames } from './decode-names.ts';

export interface BytesRead<Row> {
  readonly rows: readonly Row[];
  /** The bytes are none in the database's own encoding: in every text each character stands for one byte (Latin 1). */
  readonly areBytes: boolean;
}

/**
 * Rows of a query as the database holds them: no byte is converted or checked on its way, so that nothing in them can make the query
 * fail. They are then read in the encoding of the database.
 */
export async function rowsAsBytes<Row extends object>(connection: Connection, query: string): Promise<BytesRead<Row>> {
  await connection.query('BEGIN');
  try {
    // To a client of this encoding nothing is converted. Both the query and its answer are plain ASCII.
    await connection.query(`SET LOCAL client_encoding = 'SQL_ASCII'`);
    const answers = await connection.query<{ encoding: string; hex: string }>(
      `SELECT current_setting('server_encoding') AS encoding, encode(textsend(row_to_json(q)::text), 'hex') AS hex
         FROM (${query}) AS q`,
    );
    const decode = decodeNames(answers[0]?.encoding ?? 'UTF8');
    const texts = answers.map(({ hex }) => Buffer.from(hex, 'hex')).map((bytes) => ({ bytes, text: decode(bytes) }));
    const areBytes = texts.some(
      ({ bytes, text }) => text === bytes.toString('latin1') && bytes.some((byte) => byte > 127),
    );
    const isLatin1 = answers[0]?.encoding === 'LATIN1';
    return {
      rows: texts.map(({ bytes, text }) => JSON.parse(areBytes ? bytes.toString('latin1') : text) as Row),
      areBytes: areBytes && !isLatin1,
    };
  } finally {
    await connection.query('ROLLBACK');
  }
}
