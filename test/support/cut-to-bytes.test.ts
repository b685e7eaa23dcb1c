import { expect, it } from 'vitest';
import { cutToBytes } from '../../src/support/cut-to-bytes.ts';

it('cuts messages to 1024 bytes and no character in two', () => {
  expect(cutToBytes('short', 1024)).toBe('short');
  const text = cutToBytes(`x${'ä'.repeat(2000)}`, 1024);
  expect(Buffer.byteLength(text)).toBeLessThanOrEqual(1024);
  expect(text).toMatch(/^xä+…$/);
  expect(Buffer.byteLength(text)).toBeGreaterThan(1020);
});
