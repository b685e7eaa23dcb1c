/** What tools that keep a cluster as a repository says put on objects of theirs: key of an annotation or label, and the tool. */
const marks = [
  ['argocd.argoproj.io/tracking-id', 'Argo CD'],
  ['argocd.argoproj.io/instance', 'Argo CD'],
  ['kustomize.toolkit.fluxcd.io/name', 'Flux'],
  ['helm.toolkit.fluxcd.io/name', 'Flux'],
] as const;

/** The tool that would make an object again if it were deleted; undefined when none is known to. */
export function findGitTool(metadata: {
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}): string | undefined {
  const { labels = {}, annotations = {} } = metadata;
  return marks.find(([key]) => Object.hasOwn(labels, key) || Object.hasOwn(annotations, key))?.[1];
}
