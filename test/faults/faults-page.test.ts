import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { faultRooms } from './fault-case.ts';
import { hangCases } from './hangs.ts';
import { printFaultsPage } from './print-faults-page.ts';
import { fieldReports } from './reports.ts';
import { faultTable } from './table.ts';

test('the page of faults is the table', async () => {
  await expect(printFaultsPage(faultTable, hangCases, fieldReports)).toMatchFileSnapshot('../../docs/faults.md');
});

test('each case has a name of its own that can be a policy, and each room has cases', () => {
  const names = faultTable.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  for (const name of names) expect(name).toMatch(/^[a-z][a-z0-9-]{1,39}$/);
  expect(new Set(faultTable.map(({ room }) => room))).toEqual(new Set(faultRooms));
});

test('every way that bytes take is tried with a long dump', () => {
  const long = faultTable.filter(({ dump }) => dump === 'large').map(({ room }) => room);
  expect(new Set(long)).toEqual(new Set(['pod', 'database', 's3', 'sftp', 'fan-out']));
});

test('a case that succeeds says that every required place has its copy', () => {
  for (const { name, expect: expected } of faultTable) {
    if (expected.reason === 'Succeeded')
      expect(expected.destinations, name).toEqual(expected.destinations.map(() => 'Stored'));
    if (expected.succeeded === 'False' && expected.reason !== 'DestinationFailed')
      expect(expected.reason, name).not.toBe('Succeeded');
  }
});

test.each(fieldReports)('the test of report $id stands where the page says', async ({ file, title }) => {
  expect(await readFile(join(import.meta.dirname, '..', file), 'utf8')).toContain(title);
});

test.each(hangCases)(
  'the test of $where ($title) meets the calls that the page says',
  async ({ file, title, calls }) => {
    const text = await readFile(join(import.meta.dirname, '..', file), 'utf8');
    expect(text).toContain(title);
    for (const call of calls) expect(text, call).toMatch(new RegExp(`'${call}'|\\b${call}:`));
  },
);
