/** Named `table thing`: which table, the statement that drops it tells when there are several that could be meant. */
export const typesNamedAfterTable: ReadonlySet<string> = new Set([
  'DEFAULT',
  'CONSTRAINT',
  'CHECK CONSTRAINT',
  'FK CONSTRAINT',
  'TRIGGER',
  'RULE',
  'POLICY',
]);
