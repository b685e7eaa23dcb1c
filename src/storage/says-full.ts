/** Servers pass on what their file systems say, with whatever code; quotas are told in other words by each. The word alone may be of a path. */
const fullWords =
  /no (?:free )?space|space left|(?:not enough|insufficient|out of|low on) ?(?:free |disk |storage )*(?:space|storage)|(?:disk|drive|volume|device|file ?system|storage) (?:is )?full|quota.{0,60}(?:exceed|reach)|(?:exceed|over |reach).{0,60}quota|storage (?:cap|limit|allocation)\b/i;

/** Whether the words of a refusal mean that there is no room. */
export function saysFull(text: string): boolean {
  return fullWords.test(text);
}
