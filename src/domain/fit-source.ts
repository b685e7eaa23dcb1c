import { restoredSource, type RestoredSource } from '../api/restore-spec.ts';

/**
 * What a source is told as: every member as long as its readers take it. A text that is too long is cut; whatever else does not fit is
 * left out. Names of files, of members of a ZIP and ETags come from others and are as long as they like.
 */
export function fitSource(source: Readonly<Record<string, unknown>>): RestoredSource {
  const fitted: Record<string, unknown> = {};
  for (const [name, schema] of Object.entries(restoredSource().shape)) {
    const value = source[name];
    const longest = 'maxLength' in schema.unwrap() ? Number((schema.unwrap() as { maxLength: unknown }).maxLength) : 0;
    const cut = typeof value === 'string' && value.length > longest && longest > 0 ? cutUnits(value, longest) : value;
    if (cut !== undefined && schema.safeParse(cut).success) fitted[name] = cut;
  }
  return restoredSource().parse(fitted);
}

/** Never within a pair of surrogates: half of one is no text. */
function cutUnits(text: string, units: number): string {
  const cut = text.slice(0, units);
  return cut.isWellFormed() ? cut : cut.slice(0, -1);
}

/** As it is read: what is printed by another version, or by a writer with a fault, costs a detail and not the whole word. */
export function readSource(source: unknown): RestoredSource | undefined {
  return typeof source === 'object' && source !== null ? fitSource(source as Record<string, unknown>) : undefined;
}
