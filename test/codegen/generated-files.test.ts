import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { kinds } from '../../src/api/kinds.ts';
import { failureReasons, stateReasons } from '../../src/api/reasons.ts';
import { findStaleFiles, writeFiles } from '../../src/codegen/compare-files.ts';
import { generatedFolders, printGeneratedFiles } from '../../src/codegen/generated-files.ts';
import { readVersion } from '../../src/codegen/read-version.ts';

const root = join(import.meta.dirname, '..', '..');
const version = readVersion(root);
const printed = { files: printGeneratedFiles(version), folders: generatedFolders };
const textOf = (path: string): string => printed.files.get(path) ?? '';

describe('The generated files', () => {
  it('in the repository are up to date', async () => {
    expect(await findStaleFiles(root, printed)).toEqual([]);
  });

  it('are the same each time', () => {
    expect([...printGeneratedFiles(version)]).toEqual([...printed.files]);
  });

  it('say at their head where they come from', () => {
    for (const [path, text] of printed.files) expect(text.split('\n')[0], path).toContain('Generated from src/api');
  });

  it.each(kinds)('describe $kind as a namespaced kind with a status of its own', (kind) => {
    const crd = parse(textOf(`crds/pgbackup.dev_${kind.plural}.yaml`)) as {
      spec: { scope: string; names: object; versions: [{ subresources: object; additionalPrinterColumns: unknown[] }] };
    };

    expect(crd).toMatchObject({
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: { name: `${kind.plural}.pgbackup.dev` },
      spec: { group: 'pgbackup.dev', scope: 'Namespaced', names: { kind: kind.kind, categories: ['pgbackup'] } },
    });
    expect(crd.spec.versions).toHaveLength(1);
    expect(crd.spec.versions[0].subresources).toEqual({ status: {} });
    expect(crd.spec.versions[0].additionalPrinterColumns).toHaveLength(kind.columns.length);
  });

  it('hold every reason with its remedy, and every state', () => {
    const page = textOf('docs/reasons.md');

    for (const [name, { exitCode, meaning, remedy }] of Object.entries(failureReasons)) {
      expect(page).toContain(`### ${name}\n\n${meaning}\n\n`);
      expect(page).toContain(`- Exit code of the runner: ${exitCode}\n- Remedy: ${remedy}\n`);
    }
    for (const name of Object.keys(stateReasons)) expect(page).toContain(`| \`${name}\` |`);
  });

  it('hold every kind, its conditions and the default keys of its Secrets', () => {
    const page = textOf('docs/reference.md');

    for (const { kind, conditions } of kinds) {
      expect(page).toContain(`\n## ${kind}\n`);
      for (const { type, description } of conditions) expect(page).toContain(`| \`${type}\` | ${description} |`);
    }
    expect(page).toContain('| `spec.source.postgres.credentials` | uri | `uri` |');
    expect(page).toContain('| `spec.destinations[].required` | boolean | `true` |');
    expect(page).toContain('- `spec.s3`: bucket is immutable');
    expect(page).toContain('| `pgbackup.dev/probe-requested-at` |');
  });

  it('have tables whose rows all have as many cells as their head', () => {
    for (const path of ['docs/reference.md', 'docs/reasons.md']) {
      let cells = 0;
      for (const line of textOf(path).split('\n')) {
        const count = line.startsWith('|') ? line.replaceAll(String.raw`\|`, '').split('|').length : 0;
        if (cells > 0 && count > 0) expect(count, line).toBe(cells);
        cells = count;
      }
    }
  });
});

describe('generate', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'generate-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  const generate = async (...args: readonly string[]): Promise<{ code: number; output: string }> => {
    try {
      const { stdout } = await promisify(execFile)(process.execPath, [join(root, 'src/codegen/generate.ts'), ...args]);
      return { code: 0, output: stdout };
    } catch (error) {
      const { code, stderr } = error as { code: number; stderr: string };
      return { code, output: stderr };
    }
  };

  it('writes what --check then finds in order', async () => {
    expect(await generate('--check', folder)).toMatchObject({ code: 1 });
    expect(await generate(folder)).toMatchObject({ code: 0 });
    expect(await generate('--check', folder)).toEqual({ code: 0, output: '' });
  });

  it('--check names stale, missing and surplus files and ends with 1', async () => {
    await writeFiles(folder, printed);
    await writeFile(join(folder, 'docs/reasons.md'), 'old');
    await writeFile(join(folder, 'crds/old.yaml'), 'old');
    await rm(join(folder, 'docs/reference.md'));

    const { code, output } = await generate('--check', folder);

    expect(code).toBe(1);
    expect(output).toContain('docs/reasons.md is stale\n');
    expect(output).toContain('docs/reference.md is missing\n');
    expect(output).toContain('crds/old.yaml is surplus');
    expect(output).toContain('run `npm run generate`');
    expect(await readFile(join(folder, 'docs/reasons.md'), 'utf8')).toBe('old');
  });

  it('removes what is surplus and leaves what is up to date', async () => {
    await writeFiles(folder, printed);
    await writeFile(join(folder, 'crds/old.yaml'), 'old');

    expect(await writeFiles(folder, printed)).toEqual(['crds/old.yaml']);
    expect(await findStaleFiles(folder, printed)).toEqual([]);
  });
});
