import type { FailureReason } from '../../../src/api/reasons.ts';
import type { Arranged, Expected, FaultCase } from '../fault-case.ts';
import type { FaultStand } from '../fault-stand.ts';
import { growTmpfs, linkFolder, mountTmpfs } from '../mounts.ts';
import type { PlaceUse } from '../places.ts';

const kinds = ['s3', 'sftp', 'directory'] as const;
type Kind = (typeof kinds)[number];
type How = 'down' | 'last-byte' | 'stall' | 'slow';

interface BrokenPlace {
  readonly place: PlaceUse;
  readonly arm?: () => Promise<void>;
  readonly lift: () => Promise<void>;
  readonly met?: () => boolean | Promise<boolean>;
}

const none = async (): Promise<void> => undefined;

/** One place that will fail in its way. */
async function breakPlace(
  stand: FaultStand,
  name: string,
  kind: Kind,
  how: How,
  required: boolean,
): Promise<BrokenPlace> {
  if (kind === 's3') {
    const place = await stand.makeS3(name, { required });
    const fault = {
      down: 'reset',
      'last-byte': { status: 500, code: 'InternalError' },
      stall: 'stall',
      slow: { bytesPerSecond: 5_000_000 },
    } as const;
    const verbs = { down: undefined, 'last-byte': 'complete', stall: 'part', slow: 'part' } as const;
    let met = 0;
    return {
      place,
      arm: async () =>
        stand.http.script(name, ({ verb }) => {
          if (verbs[how] !== undefined && verb !== verbs[how]) return undefined;
          met += 1;
          return fault[how];
        }),
      met: () => met > 0,
      lift: async () => stand.http.script(name, undefined),
    };
  }
  if (kind === 'sftp') {
    const place = await stand.makeSftp(name, { required });
    const { proxy } = place;
    const pass = async (): Promise<void> => {
      proxy.plan = () => ({});
      proxy.resetAll();
      await proxy.accept();
      await place.rule({});
    };
    const arm = {
      down: () => proxy.refuse(),
      'last-byte': () => place.rule({ on: 'hardlink@openssh.com', always: true, answer: 'disconnect' }),
      stall: async () => {
        proxy.plan = () => ({ cut: { toServer: 5_000_000, how: 'stall' } });
      },
      slow: async () => {
        proxy.plan = () => ({ bytesPerSecond: 5_000_000 });
      },
    } as const;
    return {
      place,
      arm: arm[how],
      lift: pass,
      ...(how === 'last-byte' ? { met: async () => (await place.met()) > 0 } : {}),
      ...(how === 'stall' ? { met: () => proxy.cuts() > 0 } : {}),
    };
  }
  if (how === 'last-byte') {
    // The dump has 10.2 MB.
    const root = await mountTmpfs(stand, name, '9m');
    return { place: await stand.makeFolder(name, { required, root }), lift: () => growTmpfs(root, '200m') };
  }
  const { root, path, link, unlink } = await linkFolder(stand, name);
  return { place: await stand.makeFolder(name, { required, root, path }), arm: unlink, lift: link };
}

const reasons: Readonly<Record<Kind, Readonly<Record<How, FailureReason>>>> = {
  s3: {
    down: 'StorageUnreachable',
    'last-byte': 'StorageFailed',
    stall: 'StorageUnreachable',
    slow: 'StorageUnreachable',
  },
  sftp: {
    down: 'StorageUnreachable',
    'last-byte': 'StorageUnreachable',
    stall: 'StorageUnreachable',
    slow: 'StorageUnreachable',
  },
  directory: { down: 'StorageMissing', 'last-byte': 'StorageFull', stall: 'StorageFailed', slow: 'StorageFailed' },
};

/** All three kinds of places, of which some are broken. */
async function arrangeThree(
  stand: FaultStand,
  name: string,
  broken: Readonly<Partial<Record<Kind, How>>>,
  required: boolean,
  database: 'big' | 'large' = 'big',
): Promise<Arranged> {
  const parts: BrokenPlace[] = [];
  for (const kind of kinds) {
    const how = broken[kind];
    const location = Object.keys(broken).length > 1 ? `${name}-${kind}` : name;
    if (how !== undefined) parts.push(await breakPlace(stand, location, kind, how, required));
    else parts.push({ place: await stand.healthy(kind), lift: none });
  }
  return {
    places: parts.map(({ place }) => place),
    postgres: await stand.postgresProxy(),
    databases: [database],
    impatient: Object.values(broken).includes('stall'),
    arm: async () => {
      for (const { arm } of parts) await arm?.();
    },
    met: async () => {
      const met = await Promise.all(parts.map(async (part) => part.met?.() ?? true));
      return met.every(Boolean);
    },
    lift: async () => {
      for (const { lift } of parts) await lift();
    },
  };
}

function expectOf(
  broken: Readonly<Partial<Record<Kind, How>>>,
  required: boolean,
  remains: readonly number[],
): Expected {
  const destinations = kinds.map((kind) => {
    const how = broken[kind];
    return how === undefined ? 'Stored' : reasons[kind][how];
  });
  return required
    ? { succeeded: 'False', reason: 'DestinationFailed', destinations, remains }
    : { succeeded: 'True', reason: 'BestEffortFailed', destinations, remains };
}

const words = { down: 'is down', 'last-byte': 'fails at the last byte', stall: 'takes no bytes any more' } as const;

const oneBroken = kinds.flatMap((kind) =>
  (['down', 'last-byte', 'stall'] as const).flatMap((how) =>
    [true, false].flatMap((required): readonly FaultCase[] => {
      // A folder cannot be made to stall without a file system of one's own.
      if (how === 'stall' && (kind === 'directory' || !required)) return [];
      const broken = { [kind]: how };
      const isLarge = kind === 's3' && how === 'last-byte' && required;
      // Who was reset or stalls does not let us clean up either.
      const remains = how === 'stall' ? [kinds.indexOf(kind)] : [];
      return [
        {
          name: `fan-out-${kind}-${how}${required ? '' : '-best-effort'}`,
          room: 'fan-out',
          ...(kind === 'directory' && how === 'last-byte' ? { needsRoot: true } : {}),
          fault: `of three places ${kind} ${words[how]} (${required ? 'required' : 'best-effort'})`,
          ...(isLarge ? { dump: 'large' } : {}),
          arrange: (stand, name) => arrangeThree(stand, name, broken, required, isLarge ? 'large' : 'big'),
          expect: expectOf(broken, required, remains),
        },
      ];
    }),
  ),
);

const slow = (['s3', 'sftp'] as const).map((kind): FaultCase => ({
  name: `fan-out-${kind}-slow`,
  room: 'fan-out',
  fault: `of three places ${kind} takes 5 MB/s`,
  arrange: (stand, name) => arrangeThree(stand, name, { [kind]: 'slow' }, true),
  expect: { succeeded: 'True', reason: 'Succeeded', destinations: ['Stored', 'Stored', 'Stored'] },
}));

export const fanOutCases: readonly FaultCase[] = [
  ...oneBroken,
  ...slow,
  {
    name: 'fan-out-two-down',
    room: 'fan-out',
    fault: 'two of three places are down',
    arrange: (stand, name) => arrangeThree(stand, name, { s3: 'down', sftp: 'down' }, true),
    expect: expectOf({ s3: 'down', sftp: 'down' }, true, []),
  },
  {
    name: 'fan-out-all-down',
    room: 'fan-out',
    fault: 'all places are down, each in its way; the one that time does not heal gives the reason',
    arrange: (stand, name) => arrangeThree(stand, name, { s3: 'down', sftp: 'down', directory: 'down' }, true),
    expect: {
      succeeded: 'False',
      reason: 'StorageMissing',
      destinations: ['StorageUnreachable', 'StorageUnreachable', 'StorageMissing'],
    },
  },
];
