import { z } from 'zod';
import { Failure } from '../api/failure.ts';
import { task, taskMaxBytes, taskVersion, type Task } from './task.ts';

/** Reads a task. @throws Failure TaskInvalid when it is too large, no JSON, of another version or of another shape. */
export function parseTask(text: string): Task {
  if (Buffer.byteLength(text) > taskMaxBytes) {
    throw new Failure('TaskInvalid', `the task is larger than ${taskMaxBytes} bytes`);
  }
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (error) {
    throw new Failure('TaskInvalid', 'the task is no JSON', { cause: error });
  }
  const version = z.object({ version: z.int() }).safeParse(content).data?.version;
  if (version !== undefined && version !== taskVersion) {
    throw new Failure('TaskInvalid', `the task has version ${version}, this image knows ${taskVersion}`, {
      hint: oneVersion,
    });
  }
  const parsed = task.safeParse(content);
  if (parsed.success) return parsed.data;
  const unknown = parsed.error.issues.flatMap(nameUnknown);
  if (unknown.length > 0) {
    throw new Failure('TaskInvalid', `the task says what this image does not know: ${unknown.join(', ')}`, {
      hint: oneVersion,
    });
  }
  throw new Failure('TaskInvalid', `the task does not fit: ${z.prettifyError(parsed.error)}`, { hint: oneVersion });
}

const oneVersion =
  'A newer controller wrote it. Let both be of one version: the controller’s --runner-image names the image of runners.';

/** Nothing of a task is passed over: what is not known may be what was meant. */
function nameUnknown(issue: z.core.$ZodIssue): readonly string[] {
  return issue.code === 'unrecognized_keys' ? issue.keys.map((key) => [...issue.path, key].join('.')) : [];
}
