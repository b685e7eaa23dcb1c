import { mkdir, rm } from 'node:fs/promises';
import { libpqEnvironment } from '../../../postgres/libpq-environment.ts';
import type { LoadTools } from '../../../postgres/load-types.ts';
import { findPrograms } from '../../../postgres/programs.ts';
import type { Workshop } from '../../workshop.ts';
import type { OpenTarget } from '../target/open-target.ts';

/** What loads need: programs, the server and how to reach it, and an empty folder of their own. @param secrets a folder for files with secrets in them */
export async function makeTools(
  target: Pick<OpenTarget, 'server' | 'facts'>,
  { work: folder, secrets }: { readonly work: string; readonly secrets: string },
  isBackup: boolean,
  { programDirs, clock, random, signal }: Workshop,
): Promise<LoadTools> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true, mode: 0o700 });
  return {
    available: await findPrograms(programDirs, clock, signal),
    serverMajor: target.facts.major,
    server: target.server,
    environment: await libpqEnvironment(target.server, secrets),
    folder,
    clock,
    random,
    damaged: isBackup ? 'BackupDamaged' : 'FileDamaged',
  };
}
