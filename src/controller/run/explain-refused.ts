const aboutResources =
  /\b(maximum|minimum) (cpu|memory) (usage|limit)|\b(cpu|memory) max limit to request ratio|\bexceeded quota\b|\bfailed quota\b/;

/** What a server said that refused a pod, and what to write where it is about the runner's requests and limits. */
export function explainRefused(message: string): string {
  if (!aboutResources.test(message)) return message;
  return `${message}; say with runner.resources (of the policy, location or request) what fits there: {} leaves requests and limits to the namespace's LimitRange`;
}
