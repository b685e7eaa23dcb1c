import { Failure } from '../../api/failure.ts';
import type { RestoreVerdict } from '../../domain/report.ts';
import type { RestoreTask } from '../../domain/task.ts';
import type { Workshop } from '../workshop.ts';

/** Does a restore and answers. */
export async function restore(_task: RestoreTask, _workshop: Workshop): Promise<RestoreVerdict> {
  return Promise.reject(new Failure('Internal', 'restores are not built yet'));
}
