/** A deeply frozen copy as JSON would carry it: undefined members vanish, nothing is shared with the original. */
export function freezeCopy<T>(value: T): T {
  return deepFreeze(JSON.parse(JSON.stringify(value)) as T);
}

/** Freezes a value and all it holds, in place. */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  for (const member of Object.values(value)) deepFreeze(member);
  return Object.freeze(value);
}

/** A shallow copy without some members. */
export function omit(object: object, ...members: readonly string[]): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(object).filter(([member]) => !members.includes(member)));
}

/** A shallow copy of only these members, where they are there. */
export function pick<T extends object>(object: T, ...members: readonly (keyof T & string)[]): Partial<T> {
  const entries = Object.entries(object).filter(([member]) => (members as readonly string[]).includes(member));
  return Object.fromEntries(entries) as Partial<T>;
}
