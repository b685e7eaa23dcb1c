import type { z } from 'zod';
import { Failure } from '../../api/failure.ts';
import { qualifiedNamePattern, type runnerOptions } from '../../api/parts.ts';

/**
 * Keys of labels, annotations and resources as Kubernetes takes them. No schema can say that of the keys of a map (a CEL rule that
 * matches them costs more than the API server allows), and a Job with another one is refused.
 * @throws Failure SpecInvalid
 */
export function checkKeys(options: z.infer<ReturnType<typeof runnerOptions>>): void {
  const { podLabels, podAnnotations, nodeSelector, resources } = options;
  const maps = {
    podLabels,
    nodeSelector,
    podAnnotations,
    'resources.requests': resources?.requests,
    'resources.limits': resources?.limits,
  };
  for (const [member, map] of Object.entries(maps)) {
    for (const key of Object.keys(map ?? {})) {
      // Only the prefix of an annotation may have capitals.
      const isGood = isQualifiedName(member === 'podAnnotations' ? key.toLowerCase() : key);
      if (isGood) continue;
      throw new Failure('SpecInvalid', `runner.${member} has the key ${JSON.stringify(key.slice(0, 100))}`, {
        hint: 'a key is a name of at most 63 letters, digits, -, _ and ., with or without the prefix of a domain (example.com/name)',
      });
    }
  }
}

function isQualifiedName(key: string): boolean {
  return qualifiedNamePattern.test(key) && key.lastIndexOf('/') <= 253;
}
