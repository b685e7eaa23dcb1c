/** A member of an object to write, or none: `null` and absent are not the same to an API server. */
export function optional<T>(member: string, value: T | undefined): Readonly<Record<string, T>> {
  return value === undefined ? {} : { [member]: value };
}
