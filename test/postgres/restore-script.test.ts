import { describe, expect, test } from 'vitest';
import { frameScript, type ScriptFrame } from '../../src/postgres/restore-script.ts';
import { collect, failingAfter, inPieces, rejection } from '../pipeline/streams.ts';

const preamble = `--
-- PostgreSQL database dump
--

\\restrict abc

-- Dumped from database version 17.10
-- Dumped by pg_dump version 17.10

BEGIN;

SET statement_timeout = 0;
SET transaction_timeout = 0;
SET client_encoding = 'UTF8';
SET ROLE "odd owner";
SELECT pg_catalog.set_config('search_path', '', false);
SET row_security = off;

`;
const body = `--
-- Name: t; Type: TABLE
--

CREATE FUNCTION f() RETURNS void LANGUAGE sql AS '
SET transaction_timeout = 0;
';
COPY t FROM stdin;
SET transaction_timeout = 0;
\\.
`;
const end = `COMMIT;

--
-- PostgreSQL database dump complete
--

\\unrestrict abc

`;
const frame = (changes: Partial<ScriptFrame> = {}): ScriptFrame => ({
  without: ['transaction_timeout'],
  key: 'k1',
  proof: 'p1',
  end: 'commit',
  beforeEnd: async () => {},
  ...changes,
});
const framed = async (script: string, size: number, changes: Partial<ScriptFrame> = {}) =>
  (await collect(frameScript(inPieces(Buffer.from(script), size), frame(changes)))).toString();

describe('frameScript', () => {
  test.each([1, 7, 100, 1 << 20])('takes the setting out of the preamble only, read in pieces of %i', async (size) => {
    const script = `${preamble}${body}${end}`;
    expect(await framed(script, size)).toBe(`${script.replace('SET transaction_timeout = 0;\n', '')}\nSELECT 'p1';\n`);
  });

  test('restricts what pg_restore did not restrict', async () => {
    const script = `${preamble}${body}${end}`.replaceAll(/\\(?:un)?restrict abc\n/g, '');
    expect(await framed(script, 64)).toMatch(/^\\restrict k1\n--\n/);
  });

  test('a line that looks like the preamble of somebody else ends it', async () => {
    const script = `${preamble.replace('BEGIN;', 'DROP TABLE x;')}${body}`;
    expect(await framed(script, 50)).toContain('DROP TABLE x;\n\nSET statement_timeout = 0;\nSET transaction_timeout');
  });

  test('a trial takes its COMMIT back, and only that of the end', async () => {
    const script = `${preamble}${body}COMMIT;\n${'x'.repeat(5000)}\n${end}`;
    expect(await framed(script, 333, { end: 'rollback', without: [] })).toBe(
      `${preamble}${body}COMMIT;\n${'x'.repeat(5000)}\n${end.replace('COMMIT', 'ROLLBACK')}\nSELECT 'p1';\n`,
    );
    expect(await rejection(framed(`${preamble}${body}`, 333, { end: 'rollback' }))).toMatchObject({
      reason: 'RestoreFailed',
    });
  });

  test('lets nothing of the end through when the source fails, or what must hold before it does not', async () => {
    const script = Buffer.from(`${preamble}${body.repeat(100)}${end}`);
    const given: Uint8Array[] = [];
    const take = async (bytes: AsyncIterable<Uint8Array>) => {
      for await (const chunk of bytes) given.push(chunk);
    };
    const broken = new Error('broken');
    expect(await rejection(take(frameScript(failingAfter(script, script.length, 64, broken), frame())))).toBe(broken);
    const beforeEnd = async () => Promise.reject(broken);
    expect(await rejection(take(frameScript(inPieces(script, 999), frame({ beforeEnd }))))).toBe(broken);
    expect(given.length).toBeGreaterThan(0);
    expect(Buffer.concat(given).toString()).not.toContain('COMMIT');
  });
});
