import { Failure } from '../../../api/failure.ts';
import { readSqlScript } from '../../../pipeline/sql-script.ts';
import type { FileContent } from './file-content.ts';

/** Not what anybody means, unless they are named or there is nothing else. */
const templates: ReadonlySet<string> = new Set(['template0', 'template1']);
const maintenance = 'postgres';
const namesShown = 20;

/**
 * Which database of a script of pg_dumpall: the one that is named, the only one, or the one that is called like the target. The script
 * is read as a whole for that, unless one is named.
 * @throws Failure FileAmbiguous, FileUnknown (it has none), and those of reading the script
 */
export async function chooseSection(
  script: FileContent,
  wanted: string | undefined,
  target: string,
  signal: AbortSignal,
): Promise<string> {
  if (wanted !== undefined) return wanted;
  const reading = readSqlScript(script.open(signal), { part: 'nothing', oneTransaction: false });
  while ((await reading.next()) !== undefined);
  const databases = reading.databases();
  const own = databases.filter((name) => !templates.has(name));
  const [only] = own;
  if (only === undefined) {
    throw new Failure('FileUnknown', 'the script of pg_dumpall holds no database', {
      hint: 'roles alone are not restored; take a script that was made without --globals-only',
    });
  }
  if (own.length === 1) return only;
  const [first, second] = own.filter((name) => name !== maintenance);
  if (first !== undefined && second === undefined) return first;
  if (databases.includes(target)) return target;
  throw new Failure('FileAmbiguous', `the script holds several databases: ${own.slice(0, namesShown).join(', ')}`);
}
