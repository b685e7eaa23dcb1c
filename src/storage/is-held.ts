import { s3ProblemOf } from './s3-errors.ts';

/** Of object locks, retention periods and legal holds, in the words of AWS, Google, MinIO, Wasabi, Ceph and those that do as they do. */
const heldWords = /object ?lock|\bworm\b|retention|retain|legal ?hold|\bhold\b|active\w*hold|immutab/i;

/** Whether a place refused to delete an object because something of its own keeps it: by and by it will not. */
export function isHeld(failure: unknown): boolean {
  const problem = s3ProblemOf(failure);
  if (problem === undefined || problem.foreign || problem.status < 400 || problem.status >= 500) return false;
  return heldWords.test(`${problem.code} ${problem.message}`);
}
