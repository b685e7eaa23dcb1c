import { describe, expect, it } from 'vitest';
import { checkChecks, checksOf } from '../../src/runner/restore/prove/run-checks.ts';
import { takeApart } from '../../src/runner/restore/wanted.ts';
import { restoreTaskOf } from './restore-task-of.ts';

const at = { host: '127.0.0.1', port: 5432 };
const check = { sql: 'SELECT 1', operator: 'Equal', value: '1' } as const;
const proofOf = (targets: readonly string[], checks: readonly ({ database?: string } & typeof check)[]) => {
  const { target } = restoreTaskOf(at, []);
  const databases = targets.map((name) => ({ target: name }));
  return takeApart(restoreTaskOf(at, [], { target: { ...target, databases }, checks: [...checks] })).proof;
};

describe('The checks of a restore', () => {
  it('are of the only target if they name none', () => {
    const { checks } = proofOf(['shop'], [check]);

    expect(() => checkChecks(checks, ['shop'])).not.toThrow();
    expect(checksOf(checks, 'shop')).toMatchObject([check]);
  });

  it('go to the target that they name', () => {
    const { checks } = proofOf(
      ['shop', 'blog'],
      [
        { ...check, database: 'shop' },
        { ...check, database: 'blog' },
      ],
    );

    expect(() => checkChecks(checks, ['shop', 'blog'])).not.toThrow();
    expect(checksOf(checks, 'blog')).toEqual([{ ...check, database: 'blog' }]);
  });

  it.each([
    { targets: ['shop', 'blog'], checks: [check] },
    { targets: ['shop'], checks: [{ ...check, database: 'blog' }] },
    { targets: ['shop', 'blog'], checks: [{ ...check, database: 'wiki' }] },
  ])('are refused when they would never be asked: %o', ({ targets, checks }) => {
    expect(() => checkChecks(proofOf(targets, checks).checks, targets)).toThrow(/must name its own|is no target/);
  });
});
