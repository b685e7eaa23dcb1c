import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../api/failure.ts';

/** A YAML text with the name it has in messages. */
export interface SourceText {
  readonly name: string;
  readonly text: string;
}

const yamlName = /\.(ya?ml|json)$/;

/**
 * The texts behind paths: a file, the .yaml, .yml and .json files of a folder in order of their names, or `-` for what `readStdin`
 * gives. @throws Failure SpecInvalid for a path that cannot be read, or a folder without such files.
 */
export async function readSources(
  paths: readonly string[],
  readStdin: () => Promise<string>,
): Promise<readonly SourceText[]> {
  const sources: SourceText[] = [];
  for (const path of paths) {
    if (path === '-') sources.push({ name: '<stdin>', text: await readStdin() });
    else sources.push(...(await readPath(path)));
  }
  return sources;
}

async function readPath(path: string): Promise<readonly SourceText[]> {
  try {
    if (!(await stat(path)).isDirectory()) return [{ name: path, text: await readFile(path, 'utf8') }];
    const names = (await readdir(path)).filter((name) => yamlName.test(name)).sort();
    if (names.length === 0) throw new Failure('SpecInvalid', `${path} has no .yaml, .yml or .json files`);
    return await Promise.all(
      names.map(async (name) => ({ name: join(path, name), text: await readFile(join(path, name), 'utf8') })),
    );
  } catch (error) {
    if (error instanceof Failure) throw error;
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    const why = code === 'ENOENT' ? 'no such file or folder' : code;
    throw new Failure('SpecInvalid', `${path} cannot be read: ${why}`, { cause: error });
  }
}
