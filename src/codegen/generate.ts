import { join } from 'node:path';
import { findStaleFiles, writeFiles } from './compare-files.ts';
import { generatedFolders, printGeneratedFiles } from './generated-files.ts';
import { readVersion } from './read-version.ts';

// The printer is a program of its own (it is not in the image), so this file is its front door: arguments and exit code.
// `generate.ts [--check] [ROOT]`: writes crds, manifests and docs below ROOT, or with --check says what is not up to date and ends with 1.
const [first, second] = process.argv.slice(2);
const check = first === '--check';
const project = join(import.meta.dirname, '..', '..');
const root = (check ? second : first) ?? project;
const printed = { files: printGeneratedFiles(readVersion(project)), folders: generatedFolders };

if (check) {
  const problems = await findStaleFiles(root, printed);
  for (const problem of problems) console.error(problem);
  if (problems.length > 0) {
    console.error('generated files are not up to date: run `npm run generate` and commit the result');
    process.exitCode = 1;
  }
} else {
  for (const path of await writeFiles(root, printed)) console.log(path);
}
