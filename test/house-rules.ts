/**
 * The rooms of the house (docs/house.md) as a table. test/house.test.ts holds every file of src to it.
 * Paths are relative to src; a room is the first folder, `main` is main.ts.
 */
export interface Room {
  /** Rooms, or single files of rooms, that it may import besides itself. */
  readonly rooms: readonly string[];
  /** Packages, and node: modules; `node:*` is all of them. */
  readonly packages: readonly string[];
  /** Rooms and packages of which only types may be imported. */
  readonly typesOnly?: readonly string[];
}

const everyRoom = [
  'api',
  'domain',
  'support',
  'kube',
  'controller',
  'pipeline',
  'encryption',
  'storage',
  'postgres',
  'runner',
];

export const rooms = {
  api: { rooms: [], packages: ['zod'] },
  domain: { rooms: ['api'], packages: ['zod', 'croner'] },
  support: { rooms: [], packages: ['node:*', 'winston', 'winston-transport', 'prom-client'] },
  kube: {
    rooms: ['support'],
    packages: [
      '@kubernetes/client-node',
      'node:http',
      'node:https',
      'node:tls',
      'node:crypto',
      'node:fs/promises',
      'node:path',
      'node:stream',
      'node:util',
    ],
  },
  apiserver: { rooms: ['kube', 'support'], packages: ['node:util'] },
  controller: {
    rooms: ['kube', 'domain', 'api', 'support'],
    packages: [],
    typesOnly: ['@kubernetes/client-node', 'zod'],
  },
  pipeline: {
    rooms: ['api/failure.ts'],
    packages: ['node:stream', 'node:stream/promises', 'node:zlib', 'node:crypto', 'node:child_process', 'yauzl'],
  },
  storage: {
    rooms: ['api', 'support'],
    packages: ['node:*', '@aws-sdk/client-s3', '@smithy/node-http-handler', 'ssh2', 'ssh2-sftp-client'],
  },
  postgres: { rooms: ['pipeline', 'api', 'support'], packages: ['node:*', 'pg'] },
  encryption: {
    rooms: ['api/failure.ts', 'pipeline/bytes.ts', 'pipeline/feed.ts'],
    packages: ['node:stream', 'node:crypto', '@aws-crypto/client-node', '@aws-crypto/serialize'],
    typesOnly: ['node:http', 'node:https'],
  },
  runner: {
    rooms: ['domain', 'api', 'postgres', 'pipeline', 'encryption', 'storage', 'support'],
    packages: ['node:*'],
  },
  local: {
    rooms: [...everyRoom, 'apiserver'],
    packages: ['node:*', 'yaml', 'zod', 'commander', 'log-update'],
    typesOnly: ['@kubernetes/client-node'],
  },
  cli: { rooms: [...everyRoom, 'local'], packages: ['node:*', 'yaml', 'zod', 'commander', 'log-update'] },
  codegen: { rooms: ['api'], packages: ['zod', 'yaml', 'node:*'] },
  files: { rooms: ['storage', 'support'], packages: ['node:*'] },
  main: { rooms: [...everyRoom, 'local', 'cli'], packages: ['node:*', 'commander', 'zod'] },
} as const satisfies Record<string, Room>;

/** A thing of the outside world that may be touched behind one door only. */
export interface Door {
  readonly thing: string;
  /** Imports of these specifiers (a trailing `*` matches the rest); type imports are free. */
  readonly packages?: readonly string[];
  /** Code, without comments and the contents of strings. */
  readonly code?: RegExp;
  readonly files: RegExp;
  /** At most one file per room goes through it. */
  readonly oncePerRoom?: true;
}

export const doors: readonly Door[] = [
  { thing: 'the Kubernetes client', packages: ['@kubernetes/client-node'], files: /^kube\/http-client\.ts$/ },
  { thing: 'the S3 SDK', packages: ['@aws-sdk/*', '@smithy/*'], files: /^storage\/s3(-[a-z0-9-]+)?\.ts$/ },
  { thing: 'SSH', packages: ['ssh2', 'ssh2-sftp-client'], files: /^storage\/sftp(-[a-z0-9-]+)?\.ts$/ },
  {
    thing: 'child processes',
    packages: ['node:child_process'],
    files: /^(pipeline\/command\.ts|storage\/apart\.ts|local\/[a-z0-9/-]+\.ts)$/,
    oncePerRoom: true,
  },
  {
    thing: 'arguments, environment and exit of the process',
    packages: ['node:process'],
    code: /(?<![.\w])process\s*\.\s*(env|argv|argv0|execArgv|exit|exitCode|abort|execve|reallyExit)\b|(?<![.\w])process\s*\[/,
    // The printer is no part of the image: its front door is its own.
    files: /^(main|files|codegen\/generate)\.ts$/,
  },
  {
    thing: 'the clock',
    packages: ['node:timers', 'node:timers/*', 'node:perf_hooks'],
    code: /\bDate\s*\.\s*now\b|\bnew\s+Date\s*(\(\s*\)|(?!\s*\())|(?<![.\w]|new\s+)Date\s*\(|(?<![.\w])(setTimeout|setInterval)\s*\(|\bAbortSignal\s*\.\s*timeout\b|\bperformance\s*\.\s*now\b|\bprocess\s*\.\s*(hrtime|uptime)\b|\bTemporal\s*\.\s*Now\b/,
    files: /^support\/clock\.ts$/,
  },
  {
    thing: 'randomness',
    code: /\bMath\s*\.\s*random\b|\b(randomUUID|randomBytes|randomInt|randomFill|randomFillSync|getRandomValues)\b/,
    files: /^support\/clock\.ts$/,
  },
  { thing: 'logging', packages: ['winston', 'winston-transport'], files: /^support\// },
  { thing: 'metrics', packages: ['prom-client'], files: /^support\// },
  { thing: 'PostgreSQL', packages: ['pg'], files: /^postgres\// },
  { thing: 'the AWS Encryption SDK', packages: ['@aws-crypto/*'], files: /^encryption\// },
  { thing: 'ZIP', packages: ['yauzl'], files: /^pipeline\/zip\.ts$/ },
];

/** Files of the controller that decide: whatever they reach by value lies in these rooms (or in the controller, where the same holds). */
export const decidingFiles = /^controller\/(.+\/)?(plan|job|conditions|gauges)\.ts$/;
export const decidingRooms = ['controller', 'domain', 'api'];

/** Rooms in which nothing waits. */
export const synchronousRooms = ['domain'];
export const waiting = /(?<![.\w])(async|await)\b|\bPromise\b|\.\s*then\s*\(/;

export const bannedWords = ['manager', 'helper', 'handler', 'service', 'data', 'info'];
export const bannedFileNames = ['utils', 'util', 'helpers', 'common', 'misc', 'index'];

export const maxLines = 300;
/** Catalogues: one entry after the other, nothing to understand at once. */
export const longFiles = ['api/reasons.ts'];
