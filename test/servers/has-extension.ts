import { execFile } from 'node:child_process';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** Whether a server of these programs can be given an extension. */
export async function hasExtension(binDir: string, name: string): Promise<boolean> {
  try {
    const { stdout } = await promisify(execFile)(join(binDir, 'pg_config'), ['--sharedir']);
    await access(join(stdout.trim(), 'extension', `${name}.control`));
    return true;
  } catch {
    return false;
  }
}
