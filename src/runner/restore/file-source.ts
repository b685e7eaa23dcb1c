import { Failure } from '../../api/failure.ts';
import type { RestoreTask } from '../../domain/task.ts';
import type { Workshop } from '../workshop.ts';
import type { RestoreSource } from './source.ts';

/** The file of a task. */
export async function openFileSource(_task: RestoreTask, _workshop: Workshop): Promise<RestoreSource> {
  return Promise.reject(new Failure('Internal', 'restores of files are not built yet'));
}
