import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { OrderedMap } from '../../src/support/ordered-map.ts';

const inOrder = (map: OrderedMap<number>, key = ''): readonly (readonly [string, number])[] => [...map.after(key)];

it('holds what a map and a sort hold, whatever is set, set again and deleted', () => {
  const step = fc.record({ key: fc.string({ minLength: 1, maxLength: 3 }), value: fc.integer(), isSet: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), fc.string({ maxLength: 2 }), (steps, from) => {
      const map = new OrderedMap<number>();
      const model = new Map<string, number>();
      for (const { key, value, isSet } of steps) {
        if (isSet) {
          map.set(key, value);
          model.set(key, value);
        } else {
          map.delete(key);
          model.delete(key);
        }
        expect(map.get(key)).toBe(model.get(key));
      }
      const sorted = [...model].toSorted(([a], [b]) => (a < b ? -1 : 1)).filter(([key]) => key > from);
      expect(inOrder(map, from)).toEqual(sorted);
      expect(map.isEmpty).toBe(model.size === 0);
    }),
  );
});

it('is in order beyond many parts, and empty when all is deleted', () => {
  const map = new OrderedMap<number>();
  const keys = Array.from({ length: 20_000 }, (_, index) => String((index * 7919) % 20_000).padStart(5, '0'));
  for (const [index, key] of keys.entries()) map.set(key, index);
  expect(inOrder(map).map(([key]) => key)).toEqual(keys.toSorted());
  expect(inOrder(map, '19990').map(([key]) => key)).toEqual(keys.toSorted().slice(19_991));
  for (const key of keys) map.delete(key);
  expect(inOrder(map)).toEqual([]);
  expect(map.isEmpty).toBe(true);
});
