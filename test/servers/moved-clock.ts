import { readFileSync } from 'node:fs';

/**
 * Loaded before a process of the product (`node --import`): its wall clock is off by the milliseconds that stand in the file which
 * TEST_CLOCK names, looked up twenty times a second. The monotonic clock runs on, as on a machine whose clock is set.
 */
const file = process.env['TEST_CLOCK'] ?? '';
const RealDate = Date;
let offsetMs = 0;
let readAt = -Infinity;

function now(): number {
  if (performance.now() - readAt > 50) {
    offsetMs = Number(readFileSync(file, 'utf8')) || 0;
    readAt = performance.now();
  }
  return RealDate.now() + offsetMs;
}

globalThis.Date = new Proxy(RealDate, {
  construct: (target, args, newTarget) =>
    Reflect.construct(target, args.length === 0 ? [now()] : args, newTarget) as Date,
  get: (target, member, receiver) => (member === 'now' ? now : (Reflect.get(target, member, receiver) as unknown)),
});
