import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../api/failure.ts';
import { attemptOf } from '../domain/attempt.ts';
import { parseTask } from '../domain/parse-task.ts';
import { runnerFiles, type Task } from '../domain/task.ts';

export interface GivenTask {
  readonly task: Task;
  /** The pod's try (domain/attempt.ts). Two pods never share one, so that they never write the same keys. */
  readonly attempt: string;
}

/**
 * Reads what the controller wrote below the root.
 * @throws Failure TaskInvalid when it is missing, no JSON, of another version or of another shape.
 */
export async function readTask(root: string): Promise<GivenTask> {
  const task = parseTask(await readText(join(root, runnerFiles.task)));
  const podUid = await readText(join(root, runnerFiles.podUid));
  const attempt = attemptOf(podUid, task.kind === 'backup' ? task.backup.uid : undefined);
  if (attempt === undefined) throw new Failure('TaskInvalid', 'the uid of the pod is no uid');
  return { task, attempt };
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new Failure('TaskInvalid', `${path} cannot be read`, { cause: error });
  }
}
