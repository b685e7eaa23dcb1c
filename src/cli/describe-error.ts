import { Failure } from '../api/failure.ts';
import { failureReasons } from '../api/reasons.ts';
import { isKubeError } from '../kube/client.ts';

/** What a command says when it ends badly. */
export interface ErrorText {
  readonly lines: readonly string[];
  readonly exitCode: number;
}

const unavailable = 69;
const noPermission = 77;

/** One clear line and a hint for what the user can change; a stack only of our own mistakes, and only with `debug`. */
export function describeError(error: unknown, debug: boolean): ErrorText {
  if (error instanceof Failure && error.reason !== 'Internal') {
    const hint = error.hint ?? failureReasons[error.reason].remedy;
    return {
      lines: [...error.message.split('\n').map((line) => `error: ${line}`), `hint: ${hint}`],
      exitCode: error.exitCode,
    };
  }
  if (isKubeError(error)) {
    const denied = error.code === 'Forbidden' || error.code === 'Unauthorized';
    return {
      lines: [`error: ${error.message}`, `hint: check the kubeconfig and what its user may do (${error.code})`],
      exitCode: denied ? noPermission : unavailable,
    };
  }
  const message = error instanceof Error ? error.message : String(error);
  const stack = error instanceof Error ? (error.stack ?? message).split('\n') : [];
  return {
    lines: [
      `error: internal error: ${message}`,
      ...(debug ? stack : []),
      `hint: this is a bug; report it${debug ? '' : ' with what --debug shows'}`,
    ],
    exitCode: failureReasons.Internal.exitCode,
  };
}
