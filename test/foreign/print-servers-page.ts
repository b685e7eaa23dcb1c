import { providerDeviations } from './provider-deviations.ts';
import { foreignServers, type ForeignServer } from './servers.ts';

const always = [
  ['versitygw (where VERSITYGW names it)', 'S3'],
  ['OpenSSH', 'SFTP'],
] as const;

/** docs/servers.md: on which servers the drivers were tried, and what those cannot do. */
export function printServersPage(providers: readonly string[]): string {
  const head = [
    '# Servers',
    '',
    'The conformance suite of storages (`test/suites/storage-conformance.ts`, one case for each sentence of the contract) passes on the',
    'servers below, but for the deviations that are named: each of them is tried, too, and one that does not occur any more fails. The probe',
    'of a location (docs/locations.md) finds out the same of yours.',
    '',
    '`npm run test:foreign` runs it; `scripts/foreign/setup` makes the servers. This page is printed from the table:',
    '`vitest run --project unit test/foreign -u`.',
    '',
    '| Server | Protocol | From | Deviations |',
    '|---|---|---|---|',
    ...always.map(([name, protocol]) => `| ${name} | ${protocol} | every run of \`make test\` | none |`),
    ...foreignServers.map(
      ({ name, protocol, from, deviations }) => `| ${name} | ${protocol} | ${from} | ${count(deviations)} |`,
    ),
    '',
    '## Providers',
    '',
    'A proxy before a real S3 server behaves as these providers document, or as users of other tools report (`test/servers/s3-manners.ts`).',
    'They were not tried themselves.',
    '',
    '| Manners of | Deviations |',
    '|---|---|',
    ...providers.map((name) => `| ${name} | ${count(providerDeviations[name] ?? {})} |`),
    '',
    '## Deviations',
    '',
  ];
  const parts = [
    ...foreignServers.map(({ name, deviations }) => describe(name, deviations)),
    ...providers.map((name) => describe(`Manners of ${name}`, providerDeviations[name] ?? {})),
  ];
  return [...head, ...parts.flat()].join('\n');
}

function count(deviations: ForeignServer['deviations']): string {
  const { length } = Object.keys(deviations);
  return length === 0 ? 'none' : String(length);
}

function describe(name: string, deviations: ForeignServer['deviations']): readonly string[] {
  const rows = Object.entries(deviations);
  if (rows.length === 0) return [];
  return [
    `### ${name}`,
    '',
    '| It does not pass: the place … | Why |',
    '|---|---|',
    ...rows.map(([title, why]) => `| ${title} | ${why} |`),
    '',
  ];
}
