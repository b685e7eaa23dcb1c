import { stringify } from 'yaml';
import { apiGroup, kinds } from '../api/kinds.ts';
import { makeCrd } from './crd.ts';
import { printInstall, printNamespacedInstall } from './install.ts';
import { printReasonsPage } from './reasons-page.ts';
import { printReference } from './reference.ts';

/** Folders in which every file is generated: others there are surplus. */
export const generatedFolders = ['crds'] as const;

const namespacedHead = `# The operator of one namespace. In that of \`shop\`, once the definitions are there (kubectl apply -f crds/):
#   sed 's/my-namespace/shop/g' manifests/install-namespaced.yaml | kubectl apply -f -
`;
const origin = 'Generated from src/api by `npm run generate`; do not edit.';

/** Everything that is printed from src/api: path from the project's root → content. `version`: of the image to install. */
export function printGeneratedFiles(version: string): ReadonlyMap<string, string> {
  const crds = kinds.map((kind): [string, string] => [
    `crds/${apiGroup}_${kind.plural}.yaml`,
    `# ${origin}\n${stringify(makeCrd(kind), { lineWidth: 0, aliasDuplicateObjects: false })}`,
  ]);
  return new Map([
    ...crds,
    ['manifests/install.yaml', `# ${origin}\n${printInstall(version)}`],
    ['manifests/install-namespaced.yaml', `# ${origin}\n${namespacedHead}${printNamespacedInstall(version)}`],
    ['docs/reference.md', `<!-- ${origin} -->\n\n${printReference()}`],
    ['docs/reasons.md', `<!-- ${origin} -->\n\n${printReasonsPage()}`],
  ]);
}
