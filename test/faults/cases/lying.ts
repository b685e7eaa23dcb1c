import { readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { FailureReason } from '../../../src/api/reasons.ts';
import type { Arranged, Expected, FaultCase } from '../fault-case.ts';
import type { FaultStand } from '../fault-stand.ts';
import { startS3Provider } from '../../servers/s3-provider.ts';
import type { S3Manners } from '../../servers/s3-manners.ts';
import { startHttpProxy, type HttpProxy, type HttpScript } from '../http-proxy.ts';
import { lieFile, type FolderLie } from '../lying-folder.ts';
import { linkFolder } from '../mounts.ts';
import { spoilFile, type Spoil } from '../spoil-file.ts';
import { until } from '../waiting.ts';

const good: Expected = { succeeded: 'True', reason: 'Succeeded', destinations: ['Stored'] };
const bad = (reason: FailureReason): Expected => ({ succeeded: 'False', reason, destinations: [reason] });
const dump = '.dump';
const manifest = 'manifest.json';

type Kind = 's3' | 'plain-s3' | 'sftp' | 'directory';
type Fault = Pick<Arranged, 'places' | 'arm' | 'during' | 'lift' | 'met' | 'impatient'>;

/** What a place does to files whose key ends so, told by a proxy, by the SFTP server, or by the folder. */
interface Lie extends Omit<FolderLie, 'met'> {
  readonly about?: typeof dump | typeof manifest;
}

/** An S3 server that has no checksums, and whose ETags say nothing of the bytes. */
const withoutSums: S3Manners = {
  ignores: ['checksum', 'checksum-algorithm', 'checksum-mode', 'checksum-elements'],
  opaqueTags: ['parts', 'objects'],
  tellsNoChecksum: true,
};

async function arrangeBucket(stand: FaultStand, name: string, lie: Lie, http: HttpProxy): Promise<Fault> {
  const place = await stand.makeS3(name, { endpoint: http.endpoint });
  let met = 0;
  let hidden = 0;
  const script: HttpScript = ({ verb, key }) => {
    if (lie.about === undefined || !key.endsWith(lie.about)) return undefined;
    if (verb === 'put' || verb === 'complete')
      return {
        afterwards: () => {
          hidden = lie.deny ?? 0;
          if (
            lie.deny !== undefined ||
            (lie.spoil !== undefined && spoilFile(lie.spoil, join(stand.s3Folder, name, key)))
          )
            met += 1;
        },
      };
    // The driver's own question after a put is answered; who asks later is not.
    if (verb !== 'get' || hidden <= 0) return undefined;
    hidden -= 1;
    return { status: 404, code: 'NoSuchKey' };
  };
  return {
    places: [place],
    arm: async () => http.script(name, script),
    during: async ({ isOver }) => void (await until('the run is over', isOver)),
    met: () => met > 0,
    lift: async () => http.script(name, undefined),
  };
}

const arrangers: Readonly<Record<Kind, (stand: FaultStand, name: string, lie: Lie) => Promise<Fault>>> = {
  s3: (stand, name, lie) => arrangeBucket(stand, name, lie, stand.http),
  'plain-s3': async (stand, name, lie) => {
    const provider = await startS3Provider(stand.s3, withoutSums);
    const http = await startHttpProxy(provider.endpoint);
    stand.onStop(async () => {
      await http.stop();
      await provider.stop();
    });
    return arrangeBucket(stand, name, lie, http);
  },
  sftp: async (stand, name, lie) => {
    const place = await stand.makeSftp(name);
    return {
      places: [place],
      arm: () => place.rule(lie),
      met: async () => lie.fold === true || (await place.met()) > 0,
      lift: () => place.rule({}),
    };
  },
  directory: async (stand, name, lie) => {
    const place = await stand.makeFolder(name);
    const file = lieFile(place.root);
    return {
      places: [place],
      impatient: true,
      arm: () => writeFile(file, JSON.stringify(lie)),
      met: async () => lie.fold === true || (JSON.parse(await readFile(file, 'utf8')) as FolderLie).met === 1,
      lift: () => rm(file),
    };
  },
};

const titles: Readonly<Record<Kind, string>> = {
  s3: 'S3',
  'plain-s3': 'S3 without checksums',
  sftp: 'SFTP',
  directory: 'a directory',
};
const everywhere = ['s3', 'plain-s3', 'sftp', 'directory'] as const;

/** Where the server's checksum proves what came in, only reading all of it tells what became of it later. */
const readBackOf = (kind: Kind, how: 'Sample' | 'Full'): 'Sample' | 'Full' => (kind === 's3' ? 'Full' : how);

const lying = (
  what: string,
  fault: string,
  lie: Lie,
  expected: Expected,
  more: { readonly kinds?: readonly Kind[]; readonly readBack?: 'Sample' | 'Full'; readonly databases?: number } = {},
): readonly FaultCase[] =>
  (more.kinds ?? everywhere).map((kind) => {
    const readBack = readBackOf(kind, more.readBack ?? 'Sample');
    return {
      name: `lying-${kind}-${what}`,
      room: 'lying',
      fault: `${titles[kind]} ${fault}${readBack === 'Full' ? ' (`readBack: Full`)' : ''}`,
      arrange: async (stand, name) => {
        const databases = Array.from({ length: more.databases ?? 1 }, (_, index) => `${name}-${index}`);
        for (const database of databases) await stand.makeDatabase(database, 'big');
        return {
          databases,
          postgres: await stand.postgresProxy(),
          spec: { verification: { readBack } },
          ...(await arrangers[kind](stand, name, lie)),
        };
      },
      expect: expected,
    } satisfies FaultCase;
  });

const spoils = (what: string, fault: string, spoil: Spoil, readBack?: 'Full'): readonly FaultCase[] =>
  lying(what, fault, { about: dump, spoil }, bad('StoredBytesDiffer'), readBack === undefined ? {} : { readBack });

/** Two databases whose names differ in upper and lower case only, at a place that does not tell them apart. */
const folds = (['sftp', 'directory'] as const).map((kind): FaultCase => ({
  name: `lying-${kind}-folds-case`,
  room: 'lying',
  fault: `${titles[kind]} takes names that differ in upper and lower case only for one; two databases are called so`,
  arrange: async (stand, name) => {
    const databases = [`Lying_${kind}`, `lying_${kind}`];
    for (const database of databases) await stand.makeDatabase(database, 'small');
    return {
      databases,
      postgres: await stand.postgresProxy(),
      ...(await arrangers[kind](stand, name, { fold: true })),
    };
  },
  expect: good,
}));

/** A folder, and an SFTP server whose folder it is. */
const samePlace: FaultCase = {
  name: 'lying-folder-is-sftp',
  room: 'lying',
  fault: 'of two required places one is the folder of the other: there is one copy',
  arrange: async (stand, name) => {
    const sftp = await stand.makeSftp(`${name}-1`);
    const { path, link, unlink } = await linkFolder(stand, name);
    const folder = await stand.makeFolder(name, { root: path });
    await unlink();
    await symlink(sftp.root, path);
    return {
      places: [sftp, folder],
      databases: ['big'],
      postgres: await stand.postgresProxy(),
      lift: async () => {
        await unlink();
        await link();
      },
    };
  },
  expect: {
    succeeded: 'False',
    reason: 'DestinationFailed',
    destinations: ['Stored', 'SamePlace'],
    unknown: [1],
  },
};

export const lyingCases: readonly FaultCase[] = [
  ...spoils('other-bytes', 'acknowledges a dump and holds other bytes, as many', 'other'),
  ...spoils('nine-tenths', 'acknowledges a dump and keeps the first nine tenths', 'cut'),
  ...spoils('nothing', 'acknowledges a dump and keeps an empty file', 'empty'),
  ...spoils('late-bytes', 'holds a dump whose second half is 16 KiB late', 'late'),
  ...spoils('forgets', 'acknowledges a dump and forgets it', 'forget'),
  ...spoils('one-bit', 'holds a dump with one bit flipped somewhere', 'flip', 'Full'),
  ...lying(
    'swaps',
    'swaps the dumps of two databases when the second comes',
    { about: dump, spoil: 'swap' },
    bad('StoredBytesDiffer'),
    { databases: 2 },
  ),
  ...lying(
    'cuts-earlier',
    'cuts an earlier dump, read back and found right, when another one comes',
    { about: dump, spoil: 'cut-other' },
    bad('StoredBytesDiffer'),
    { databases: 2 },
  ),
  ...lying('hides-dump', 'says once that a dump is not there that it has just taken', { about: dump, deny: 1 }, good),
  ...lying(
    'hides-manifest',
    'says twice that the manifest is not there that it has just taken',
    { about: manifest, deny: 2 },
    good,
  ),
  ...lying(
    'forgets-manifest',
    'acknowledges the manifest and forgets it',
    { about: manifest, spoil: 'forget' },
    bad('StoredBytesDiffer'),
  ),
  ...lying(
    'other-manifest',
    'acknowledges the manifest and holds other bytes, as many',
    { about: manifest, spoil: 'other' },
    bad('StoredBytesDiffer'),
  ),
  ...lying(
    'denies-manifest',
    'never shows the manifest that it took to who reads it, deletes it when asked',
    { about: manifest, deny: 1_000 },
    bad('StoredBytesDiffer'),
    { kinds: ['s3', 'directory'] },
  ),
  ...lying(
    'denies-manifest',
    'never shows the manifest that it took to who asks for it, not to delete it either; it is listed',
    { about: manifest, deny: 1_000 },
    { ...bad('StoredBytesDiffer'), unknown: [0] },
    { kinds: ['sftp'] },
  ),
  ...folds,
  samePlace,
];
