import { escapeIdentifier, escapeLiteral } from 'pg';

/** A name as it stands in SQL, whatever characters it has. */
export function quoteName(name: string): string {
  return escapeIdentifier(name);
}

/** A text as it stands in SQL; right with any standard_conforming_strings. */
export function quoteText(text: string): string {
  return escapeLiteral(text);
}
