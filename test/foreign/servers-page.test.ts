import { expect, test } from 'vitest';
import { providers } from '../servers/s3-manners.ts';
import { printServersPage } from './print-servers-page.ts';
import { providerDeviations } from './provider-deviations.ts';
import { foreignServers } from './servers.ts';

test('the page of servers is the table', async () => {
  await expect(printServersPage(Object.keys(providers))).toMatchFileSnapshot('../../docs/servers.md');
});

test('of each protocol at least two servers are tried that other tests do not start', () => {
  for (const protocol of ['S3', 'SFTP'])
    expect(
      foreignServers.filter((server) => server.protocol === protocol && server.needs !== undefined).length,
    ).toBeGreaterThan(1);
});

test('deviations are named for providers that there are, each with why', () => {
  expect(Object.keys(providerDeviations).filter((name) => !(name in providers))).toEqual([]);
  const all = [...foreignServers.map(({ deviations }) => deviations), ...Object.values(providerDeviations)];
  for (const why of all.flatMap((deviations) => Object.values(deviations))) expect(why.length).toBeGreaterThan(10);
});
