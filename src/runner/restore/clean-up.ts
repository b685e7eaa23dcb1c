import { Failure } from '../../api/failure.ts';
import type { CleanupVerdict } from '../../domain/report.ts';
import type { CleanupTask } from '../../domain/task.ts';
import type { Workshop } from '../workshop.ts';

/** Clears up after a restore whose runner died. */
export async function cleanUp(_task: CleanupTask, _workshop: Workshop): Promise<CleanupVerdict> {
  return Promise.reject(new Failure('Internal', 'cleanups are not built yet'));
}
