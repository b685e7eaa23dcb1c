import { readdirSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import { describe, expect, it } from 'vitest';
import { findViolations } from './find-violations.ts';
import { readSource } from './read-source.ts';

const src = join(import.meta.dirname, '..', 'src');

function readFiles(): Map<string, string> {
  const paths = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.ts'));
  return new Map(paths.sort().map((path) => [path.split(sep).join('/'), readFileSync(join(src, path), 'utf8')]));
}

const check = (files: Readonly<Record<string, string>>): string[] => findViolations(new Map(Object.entries(files)));

describe('The house', () => {
  it('is in order', () => {
    const files = readFiles();

    expect(files.size).toBeGreaterThan(20);
    expect(findViolations(files)).toEqual([]);
  });

  it('is read as a whole: every import statement of every file is seen', () => {
    for (const [path, text] of readFiles()) {
      const written = text
        .split('\n')
        .filter((line) => /^(import\b|\} from ')|\bimport\(/.test(line) && !/^import .*\{$/.test(line));
      expect(readSource(path, text).imports, path).toHaveLength(written.length);
    }
  });
});

describe('Its rules refuse', () => {
  const samples: readonly (readonly [what: string, path: string, text: string, violation: string])[] = [
    ['a package in api', 'api/a.ts', `import { Cron } from 'croner';`, 'api/a.ts: api may not import croner'],
    [
      'a node module in domain',
      'domain/a.ts',
      `import { createHash } from 'node:crypto';`,
      'domain may not import node:crypto',
    ],
    [
      'the clock in domain',
      'domain/a.ts',
      `import type { Clock } from '../support/clock.ts';`,
      'domain may not import support/clock.ts',
    ],
    [
      'types of a forbidden room',
      'kube/a.ts',
      `import type { Kind } from '../api/kinds.ts';`,
      'kube may not import api/kinds.ts',
    ],
    [
      'storage in the controller',
      'controller/a.ts',
      `import { openStorage } from '../storage/open.ts';`,
      'controller may not import storage/open.ts',
    ],
    [
      'the embedded API server in the controller',
      'controller/a.ts',
      `import { createMemoryClient } from '../apiserver/memory-client.ts';`,
      'controller may not import apiserver/memory-client.ts',
    ],
    [
      'Kubernetes in a runner',
      'runner/a.ts',
      `import { type KubeClient } from '../kube/client.ts';`,
      'runner may not import kube/client.ts',
    ],
    [
      'files in the pipeline',
      'pipeline/a.ts',
      `import { readFile } from 'node:fs/promises';`,
      'pipeline may not import node:fs/promises',
    ],
    [
      'reasons in the pipeline',
      'pipeline/a.ts',
      `import { failureReasons } from '../api/reasons.ts';`,
      'pipeline may not import api/reasons.ts',
    ],
    [
      'the pipeline in storage',
      'storage/a.ts',
      `import { x } from '../pipeline/bytes.ts';`,
      'storage may not import pipeline/bytes.ts',
    ],
    [
      'local in another room',
      'runner/a/b.ts',
      `import { x } from '../../local/x.ts';`,
      'runner may not import local/x.ts',
    ],
    ['codegen in main', 'main.ts', `import { x } from './codegen/crd.ts';`, 'main may not import codegen/crd.ts'],
    [
      'an import over several lines',
      'api/a.ts',
      `import {\n  a,\n  b as c,\n} from "../domain/names.ts";`,
      'api may not import domain/names.ts',
    ],
    ['an import after code on one line', 'api/a.ts', `const x = 1; import y from 'pg';`, 'api may not import pg'],
    ['an import for its effect', 'api/a.ts', `import 'pg';`, 'api may not import pg'],
    ['a whole module', 'api/a.ts', `import * as pg from 'pg';`, 'api may not import pg'],
    ['a default and names', 'api/a.ts', `import pg, { Client } from 'pg';`, 'api may not import pg'],
    ['a dynamic import', 'api/a.ts', `const pg = await import('pg');`, 'api may not import pg'],
    ['a type by import()', 'api/a.ts', `type A = import("pg").Client;`, 'api may not import pg'],
    ['an export from elsewhere', 'api/a.ts', `export { x } from '../domain/x.ts';`, 'api may not import domain/x.ts'],
    ['a part of a package', 'api/a.ts', `import x from 'pg/lib/x.js';`, 'api may not import pg/lib/x.js'],
    ['a computed import', 'local/a.ts', `await import(name);`, 'local/a.ts: imports something computed'],
    ['an import from outside src', 'cli/a.ts', `import x from '../../package.json';`, 'which is not in src'],
    ['an import without .ts', 'cli/a.ts', `import { x } from './b';`, 'which does not end in .ts'],
    ['an unknown room', 'utils/a.ts', `import x from 'zod';`, 'there is no room utils'],
    [
      'the Kubernetes client elsewhere',
      'kube/a.ts',
      `import { KubeConfig } from '@kubernetes/client-node';`,
      'the Kubernetes client has one door',
    ],
    [
      'the Kubernetes client by value in the controller',
      'controller/a.ts',
      `import { V1Job } from '@kubernetes/client-node';`,
      'only its types',
    ],
    [
      'S3 in another driver',
      'storage/directory.ts',
      `import { S3Client } from '@aws-sdk/client-s3';`,
      'the S3 SDK has one door',
    ],
    ['SSH in another driver', 'storage/s3.ts', `import { Client } from 'ssh2';`, 'SSH has one door'],
    [
      'processes elsewhere',
      'postgres/a.ts',
      `import { spawn } from 'node:child_process';`,
      'child processes has one door',
    ],
    [
      'the environment elsewhere',
      'runner/a.ts',
      'const home = process.env["HOME"];',
      'arguments, environment and exit of the process has one door',
    ],
    ['exit elsewhere', 'cli/a.ts', 'process\n  .exit(1);', 'arguments, environment and exit'],
    ['exitCode elsewhere', 'cli/a.ts', 'process.exitCode = 1;', 'arguments, environment and exit'],
    [
      'the environment in a template',
      'cli/a.ts',
      'const x = `a ${process.env.X} b`;',
      'arguments, environment and exit',
    ],
    [
      'the environment after a regular expression',
      'cli/a.ts',
      'const x = /[\'"`]/.test(y); const z = process.env;',
      'cli/a.ts:1: process.env',
    ],
    ['process by import', 'cli/a.ts', `import { env } from 'node:process';`, 'arguments, environment and exit'],
    ['Date.now', 'domain/a.ts', 'const x = Date.now();', 'the clock has one door'],
    ['new Date()', 'runner/a.ts', 'const x = new Date( );', 'the clock has one door'],
    ['new Date', 'runner/a.ts', 'const x = new Date;', 'the clock has one door'],
    ['Date()', 'runner/a.ts', 'const x = Date();', 'the clock has one door'],
    ['a timer', 'kube/a.ts', 'setTimeout(wake, 5);', 'the clock has one door'],
    [
      'a timer by import',
      'runner/a.ts',
      `import { setTimeout } from 'node:timers/promises';`,
      'the clock has one door',
    ],
    ['a timer of a signal', 'runner/a.ts', 'fetch(url, { signal: AbortSignal.timeout(5) });', 'the clock has one door'],
    ['Math.random', 'domain/a.ts', 'Math.random()', 'randomness has one door'],
    ['randomUUID', 'local/a.ts', 'const id = crypto.randomUUID();', 'randomness has one door'],
    ['winston elsewhere', 'runner/a.ts', `import winston from 'winston';`, 'runner may not import winston'],
    ['ZIP in another pipe', 'pipeline/tar.ts', `import { openPromise } from 'yauzl';`, 'ZIP has one door'],
    ['pg elsewhere', 'runner/a.ts', `import pg from 'pg';`, 'runner may not import pg'],
    ['yaml elsewhere', 'domain/a.ts', `import { parse } from 'yaml';`, 'domain may not import yaml'],
    ['an async function in domain', 'domain/a.ts', 'export async function planIt() {}', 'nothing waits in domain'],
    ['a promise in domain', 'domain/a.ts', 'export const x = (): Promise<void> => y;', 'nothing waits in domain'],
    ['a name that is no kebab-case', 'api/backupPolicy.ts', '', 'backupPolicy is not kebab-case'],
    ['a banned file name', 'kube/event-handler.ts', '', 'handler says nothing'],
    ['a drawer for everything', 'kube/utils.ts', '', 'a file is not called utils'],
    [
      'a banned word in a function',
      'kube/a.ts',
      'export function getPodInfo() {}',
      'info says nothing in the name getPodInfo',
    ],
    [
      'a banned word in a type',
      'kube/a.ts',
      'export interface PodsManager {}',
      'manager says nothing in the name PodsManager',
    ],
    [
      'a banned word at the start',
      'kube/a.ts',
      'const dataOf = 1; export { dataOf };',
      'data says nothing in the name dataOf',
    ],
    ['a default export', 'api/a.ts', 'export default {};', 'has a default export'],
    ['a barrel', 'api/a.ts', `export * from './kinds.ts';`, 'exports again what another file exports'],
    ['an enum', 'api/a.ts', 'export enum Color { Red }', 'has an enum'],
    ['a file of 301 lines', 'api/a.ts', 'x;\n'.repeat(301), 'has 301 lines'],
  ];

  it.each(samples)('%s', (_what, path, text, violation) => {
    expect(check({ [path]: text }).join('\n')).toContain(violation);
  });

  it('a second file of a room that starts processes', () => {
    const text = `import { spawn } from 'node:child_process';`;

    expect(check({ 'local/a.ts': text, 'pipeline/command.ts': text })).toEqual([]);
    expect(check({ 'local/a.ts': text, 'local/b.ts': text })).toEqual([
      'local/b.ts: another file of local is the door to child processes already',
    ]);
  });

  it('a deciding file that reaches the cluster through another one', () => {
    const files = {
      'controller/policy/plan.ts': `import { tell } from '../tell.ts';\nimport type { Seen } from './observe.ts';`,
      'controller/tell.ts': `import { isKubeError } from '../kube/client.ts';`,
      'controller/policy/observe.ts': `import { isKubeError } from '../../kube/client.ts';`,
    };

    expect(check(files)).toEqual([
      'controller/policy/plan.ts: decides, but reaches kube/client.ts through controller/tell.ts',
    ]);
  });
});

describe('Its rules refuse circles', () => {
  it('of files that import each other, types included', () => {
    const files = {
      'api/a.ts': `import type { B } from './b.ts';`,
      'api/b.ts': `import { a } from './a.ts';`,
      'api/c.ts': `import { a } from './a.ts';`,
    };

    expect(check(files)).toEqual(['api/a.ts: imports itself: api/a.ts → api/b.ts → api/a.ts']);
  });

  it('through other files, of a file with itself, and of one that is imported late', () => {
    const files = {
      'cli/a.ts': `import { b } from './b.ts';`,
      'cli/b.ts': `import { c } from './c.ts';`,
      'cli/c.ts': `await import('./a.ts');`,
      'cli/d.ts': `import type { D } from './d.ts';`,
    };

    expect(check(files)).toEqual([
      'cli/a.ts: imports itself: cli/a.ts → cli/b.ts → cli/c.ts → cli/a.ts',
      'cli/d.ts: imports itself: cli/d.ts → cli/d.ts',
    ]);
  });
});

describe('Its rules allow', () => {
  const samples: readonly (readonly [what: string, path: string, text: string])[] = [
    ['zod in api', 'api/a.ts', `import { z } from 'zod';`],
    [
      'types of the Kubernetes client in the controller',
      'controller/a.ts',
      `import type { V1Job } from '@kubernetes/client-node';`,
    ],
    ['inline types of it', 'local/a.ts', `import { type V1Job, type V1Pod } from '@kubernetes/client-node';`],
    ['a room’s own files', 'storage/s3.ts', `import { x } from './retry.ts';`],
    ['a date of a known time', 'domain/a.ts', 'const day = new Date(ms);'],
    ['Date.UTC', 'domain/a.ts', 'const day = Date.UTC(2026, 0, 1);'],
    ['a timeout of a socket', 'kube/a.ts', 'request.setTimeout(5);'],
    [
      'words in comments and texts',
      'domain/a.ts',
      "// process.env, await\n/* Date.now() import 'pg' */\nconst x = 'process.exit import(\"pg\") Promise';",
    ],
    [
      'words in regular expressions and templates',
      'domain/a.ts',
      "const x = /async [/'] Promise/; const y = `await ${x} \\` Date.now()`;",
    ],
    ['a member called import', 'api/a.ts', "const x = spec.import; const y = { import: z.from('pg'), export: 'a' };"],
    [
      'banned words inside other words',
      'kube/a.ts',
      'export const metadata = 1; export const dataset = 2; export function updateInformer() {}',
    ],
    ['300 lines', 'api/a.ts', 'x;\n'.repeat(300)],
    ['a catalogue of any length', 'api/reasons.ts', 'x;\n'.repeat(1000)],
    ['the exit in main', 'main.ts', 'process.exitCode = await run(process.argv, process.env);'],
  ];

  it.each(samples)('%s', (_what, path, text) => {
    expect(check({ [path]: text })).toEqual([]);
  });
});
