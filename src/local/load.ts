import { isAbsolute, resolve } from 'node:path';
import { isMap, isNode, isPair, isScalar, LineCounter, parseAllDocuments, type Document, type Node } from 'yaml';
import type { Kind } from '../api/kind.ts';
import { apiVersion, kinds } from '../api/kinds.ts';
import { validateObject } from '../api/validate.ts';
import type { ObjectMeta } from '../kube/client.ts';
import { findMetadataFaults } from '../kube/object-meta.ts';
import type { LoadedObject } from './loaded-object.ts';
import { readSecret } from './read-secret.ts';
import type { SourceText } from './read-sources.ts';

export interface Loaded {
  readonly objects: readonly LoadedObject[];
  /** `file:line: what is wrong`, all that was found; with any, nothing should be run. */
  readonly errors: readonly string[];
}

const defaultNamespace = 'default';
const knownKinds = ['Secret (v1)', ...kinds.map(({ kind }) => `${kind} (${apiVersion})`)];
const ownMetadata = new Set(['name', 'namespace', 'labels', 'annotations']);
/** What a server writes: left out, so that exported objects load. */
const serverMetadata = new Set([
  'uid',
  'resourceVersion',
  'generation',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'managedFields',
  'finalizers',
  'ownerReferences',
  'selfLink',
]);

/**
 * Secrets and our kinds from YAML texts of one or more documents, validated as an API server would (unknown fields are refused),
 * with their defaults. Without a namespace they are in `default`. `folder` is what relative paths in advice are resolved against.
 */
export function loadObjects(sources: readonly SourceText[], folder: string): Loaded {
  const objects: LoadedObject[] = [];
  const errors: string[] = [];
  const origins = new Map<string, string>();
  for (const { name, text } of sources) {
    const lines = new LineCounter();
    const documents = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false });
    for (const document of 'empty' in documents ? [] : documents) {
      const at = (offset: number): string => `${name}:${lines.linePos(offset).line}`;
      if (document.errors.length > 0) {
        errors.push(...document.errors.map(({ pos, message }) => `${at(pos[0])}: ${message}`));
        continue;
      }
      if (document.contents === null) continue;
      const read = readDocument(document, folder);
      const place = (path: string | undefined): string => at(offsetOf(document, path));
      errors.push(...read.faults.map((fault) => `${place(pathOf(fault))}: ${fault}`));
      if (read.object === undefined) continue;
      const { kind, metadata } = read.object;
      const key = `${kind} ${metadata.namespace}/${metadata.name}`;
      const before = origins.get(key);
      const origin = place(undefined);
      if (before !== undefined) errors.push(`${origin}: ${key} is already in ${before}`);
      origins.set(key, origin);
      objects.push({ object: read.object, origin });
    }
  }
  if (sources.length > 0 && objects.length === 0 && errors.length === 0) {
    errors.push(`${sources.map(({ name }) => name).join(', ')}: no objects found`);
  }
  return { objects, errors };
}

interface ReadDocument {
  readonly object?: LoadedObject['object'];
  readonly faults: readonly string[];
}

function readDocument(document: Document.Parsed, folder: string): ReadDocument {
  let value: unknown;
  try {
    value = document.toJS();
  } catch (error) {
    return { faults: [error instanceof Error ? error.message : String(error)] };
  }
  if (!isRecord(value)) return { faults: ['a document must be a mapping with apiVersion, kind and metadata'] };
  const { apiVersion: version, kind } = value;
  const known = kinds.find((one) => one.kind === kind && version === apiVersion);
  if (known === undefined && !(kind === 'Secret' && version === 'v1')) {
    const given = `kind ${JSON.stringify(kind)} of apiVersion ${JSON.stringify(version)}`;
    return { faults: [`kind: ${given} is not known here; known are ${knownKinds.join(', ')}`] };
  }
  const { metadata, faults } = readMetadata(value['metadata']);
  if (faults.length > 0) return { faults };
  const { status: _, ...rest } = value;
  const object = { ...rest, metadata } as LoadedObject['object'];
  return known === undefined ? readSecret(object) : checkOurs(known, object, folder);
}

function checkOurs(kind: Kind, object: LoadedObject['object'], folder: string): ReadDocument {
  const judged = validateObject(kind, object, undefined);
  if ('errors' in judged) return { faults: judged.errors };
  const spec = judged.object.spec as { readonly directory?: { readonly path: string; readonly claimName?: string } };
  const faults: string[] = [];
  if (spec.directory?.claimName !== undefined) {
    faults.push(
      'spec.directory.claimName: without Kubernetes there are no volumes: leave it out, and give the folder itself as path',
    );
  }
  if (spec.directory !== undefined && !isAbsolute(spec.directory.path)) {
    const whole = resolve(folder, spec.directory.path);
    faults.push(`spec.directory.path: without Kubernetes the path must be absolute, such as ${whole}`);
  }
  return faults.length > 0 ? { faults } : { object: judged.object, faults };
}

function readMetadata(value: unknown): { readonly metadata: ObjectMeta; readonly faults: readonly string[] } {
  if (!isRecord(value)) return { metadata: {}, faults: ['metadata: Required value'] };
  const faults = Object.keys(value)
    .filter((member) => !ownMetadata.has(member) && !serverMetadata.has(member))
    .map((member) =>
      member === 'generateName'
        ? 'metadata.generateName: without Kubernetes an object has a name, or it would be another one at each start'
        : `unknown field "metadata.${member}"`,
    );
  const { name, namespace = defaultNamespace, labels, annotations } = value;
  if (typeof name !== 'string' || name === '') faults.push('metadata.name: Required value');
  if (typeof namespace !== 'string' || !/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(namespace)) {
    faults.push(`metadata.namespace: Invalid value: ${JSON.stringify(namespace)}`);
  }
  const maps = Object.entries({ labels, annotations }).filter(([, map]) => map !== undefined && map !== null);
  for (const [member, map] of maps) {
    const ok = isRecord(map) && Object.values(map).every((one) => typeof one === 'string');
    if (!ok) faults.push(`metadata.${member}: Invalid value: must map strings to strings`);
  }
  const metadata = { name, namespace, ...Object.fromEntries(maps) } as ObjectMeta;
  return { metadata, faults: faults.length > 0 ? faults : findMetadataFaults(metadata) };
}

/** The path at the head of an error such as `spec.a[0].b: Invalid value` or `unknown field "spec.a"`. */
function pathOf(fault: string): string | undefined {
  return (/^unknown field "([^"]+)"/.exec(fault) ?? /^([A-Za-z]\w*(?:\.[^\s:[\].]+|\[\d+\])*): /.exec(fault))?.[1];
}

/** Where the node of a path begins, or of the nearest thing around it that is there. */
function offsetOf(document: Document.Parsed, path: string | undefined): number {
  const steps = (path ?? '').split(/[.[\]]+/).filter((step) => step !== '');
  let node: unknown = document.contents;
  let offset = (document.contents as Node | null)?.range?.[0] ?? 0;
  for (const step of steps) {
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => (isScalar(key) ? String(key.value) : key) === step);
      if (!isPair(pair)) break;
      offset = (isNode(pair.key) ? pair.key.range?.[0] : undefined) ?? offset;
      node = pair.value;
    } else {
      node = document.getIn(steps.slice(0, steps.indexOf(step) + 1).map(toIndex), true);
      if (!isNode(node)) break;
      offset = node.range?.[0] ?? offset;
    }
  }
  return offset;
}

const toIndex = (step: string): string | number => (/^\d+$/.test(step) ? Number(step) : step);
const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
