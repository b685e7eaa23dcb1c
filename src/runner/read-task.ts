import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../api/failure.ts';
import { parseTask, runnerFiles, type Task } from '../domain/task.ts';

export interface GivenTask {
  readonly task: Task;
  /** The pod's try: the first 8 hex digits of its uid. */
  readonly attempt: string;
}

/**
 * Reads what the controller wrote below the root.
 * @throws Failure TaskInvalid when it is missing, no JSON, of another version or of another shape.
 */
export async function readTask(root: string): Promise<GivenTask> {
  const task = parseTask(await readText(join(root, runnerFiles.task)));
  return { task, attempt: attemptOf(await readText(join(root, runnerFiles.podUid))) };
}

/** Two pods never share an attempt, so that they never write the same keys. */
function attemptOf(podUid: string): string {
  const attempt = podUid.trim().toLowerCase().replaceAll('-', '').slice(0, 8);
  if (!/^[0-9a-f]{8}$/.test(attempt)) throw new Failure('TaskInvalid', 'the uid of the pod is no uid');
  return attempt;
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new Failure('TaskInvalid', `${path} cannot be read`, { cause: error });
  }
}
