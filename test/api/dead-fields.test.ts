import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { kinds } from '../../src/api/kinds.ts';
import { printStructuralSchema } from '../../src/codegen/structural-schema.ts';
import { readSource } from '../read-source.ts';
import { walkSchema } from './walk-schema.ts';

const src = join(import.meta.dirname, '..', '..', 'src');
const rooms = ['controller', 'domain', 'runner', 'postgres', 'storage', 'local'];

/** Every identifier, in code, of the rooms that must do what a spec says. */
const identifiers = new Set(
  rooms
    .flatMap((room) =>
      readdirSync(join(src, room), { recursive: true, encoding: 'utf8' }).map((path) => join(room, path)),
    )
    .filter((path) => path.endsWith('.ts'))
    .flatMap((path) => readSource(path, readFileSync(join(src, path), 'utf8')).code.match(/[A-Za-z_$][\w$]*/g) ?? []),
);

/**
 * Handed on whole, so that no code names them one by one: members of Kubernetes' own types (resources, tolerations).
 * Path without the kind → why.
 */
const handedOn: readonly RegExp[] = [/\.runner\.resources\./, /\.runner\.tolerations\[\]\./];

describe('A field of a spec', () => {
  const fields = kinds.flatMap((kind) =>
    [...walkSchema(printStructuralSchema(kind.spec), `${kind.kind}.spec`)]
      .map(({ path }) => path)
      .filter((path) => !/(\[\]|\.\*|\.spec)$/.test(path) && !handedOn.some((pattern) => pattern.test(path))),
  );

  it('is not a promise without code: some file of the rooms that act names it', () => {
    const dead = fields.filter((path) => !identifiers.has(path.slice(path.lastIndexOf('.') + 1)));

    expect(fields.length).toBeGreaterThan(50);
    expect(dead).toEqual([]);
  });
});
