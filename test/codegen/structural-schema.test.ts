import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { rule, withRules } from '../../src/api/rules.ts';
import { printStructuralSchema } from '../../src/codegen/structural-schema.ts';

describe('printStructuralSchema', () => {
  it('prints objects without additionalProperties and with what is required', () => {
    const schema = z.strictObject({ a: z.string().max(5), b: z.boolean().optional(), c: z.boolean().default(true) });

    expect(printStructuralSchema(schema)).toEqual({
      type: 'object',
      required: ['a'],
      properties: {
        a: { type: 'string', maxLength: 5 },
        b: { type: 'boolean' },
        c: { type: 'boolean', default: true },
      },
    });
  });

  it('prints a rule once, whatever is wrapped around its schema', () => {
    const inner = withRules(
      z.strictObject({ a: z.boolean().optional() }),
      rule('has(self.a)', () => true, 'a is needed'),
    );
    const schema = z.strictObject({ b: inner.meta({ title: undefined }).prefault({}).meta({ description: 'B.' }) });

    expect(printStructuralSchema(schema).properties?.['b']).toEqual({
      type: 'object',
      description: 'B.',
      default: {},
      'x-kubernetes-validations': [{ rule: 'has(self.a)', message: 'a is needed' }],
      properties: { a: { type: 'boolean' } },
    });
  });

  it('keeps the rules of both when a wrapper has its own', () => {
    const inner = withRules(
      z.string().max(1),
      rule('1 == 1', () => true, 'one'),
    );
    const outer = withRules(
      inner.optional(),
      rule('2 == 2', () => true, 'two'),
    );

    const { properties } = printStructuralSchema(z.strictObject({ a: outer }));
    const messages = properties?.['a']?.['x-kubernetes-validations']?.map(({ message }) => message);

    expect(messages?.sort()).toEqual(['one', 'two']);
  });

  it('prints a map of known keys as properties', () => {
    expect(printStructuralSchema(z.record(z.enum(['a', 'b']), z.boolean()))).toEqual({
      type: 'object',
      required: ['a', 'b'],
      properties: { a: { type: 'boolean' }, b: { type: 'boolean' } },
    });
  });

  it('prints times as date-time with a pattern that the embedded client shares', () => {
    const printed = printStructuralSchema(z.iso.datetime({ offset: true }).max(40));
    const pattern = new RegExp(printed.pattern ?? '');

    expect(printed).toMatchObject({ type: 'string', format: 'date-time', maxLength: 40 });
    expect(pattern.test('2026-01-01T00:00:00.123+01:00')).toBe(true);
    expect(pattern.test('2026-01-01T00:00Z')).toBe(false);
  });

  it.each([
    ['a union', z.union([z.string(), z.number()])],
    ['a nullable', z.string().nullable()],
    ['anything', z.unknown()],
    ['an intersection', z.string().and(z.string())],
    ['a multiple', z.int().multipleOf(5)],
  ])('refuses %s and names its path', (_what, schema) => {
    expect(() => printStructuralSchema(z.strictObject({ list: z.array(z.strictObject({ odd: schema })) }))).toThrow(
      '.list[].odd',
    );
  });
});
