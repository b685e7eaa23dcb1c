import { expect, test } from 'vitest';
import { readGranted } from '../../src/postgres/read-granted.ts';

test('rights are read one by one, as pg_dump writes them', () => {
  const definition = [
    'REVOKE ALL ON TABLE public.t FROM owner;',
    'GRANT ALL ON TABLE public.t TO owner;',
    'GRANT SELECT,INSERT ON TABLE public.t TO reader WITH GRANT OPTION;',
    'SET SESSION AUTHORIZATION reader;',
    'GRANT SELECT ON TABLE public.t TO PUBLIC;',
    'RESET SESSION AUTHORIZATION;',
    'GRANT DELETE ON TABLE public." TO t" TO "a ""role"" TO x";\n',
  ].join('\n');
  expect(readGranted(definition)).toEqual([
    'ALL owner',
    'SELECT reader',
    'INSERT reader',
    'SELECT PUBLIC',
    'DELETE a "role" TO x',
  ]);
});

test('rights to columns are rights', () => {
  expect(readGranted('GRANT SELECT(a),UPDATE(a) ON TABLE public.t TO reader;\n')).toEqual([
    'SELECT reader',
    'UPDATE reader',
  ]);
});

test('what grants nothing is nothing', () => {
  expect(readGranted('REVOKE ALL ON TABLE t FROM x;\nGRANT;\nGRANT x TO y;\n')).toEqual([]);
});

test('a long definition of a hostile archive takes no long time', () => {
  expect(readGranted(`GRANT ${' ON  TO '.repeat(200_000)}"`)).toEqual([]);
});
