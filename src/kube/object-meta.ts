import { KubeError, type KubeObject, type ObjectMeta, type ResourceType } from './client.ts';
import { invalid } from './api-errors.ts';
import { freezeCopy } from './plain-json.ts';
import { apiVersionOf } from './resource-path.ts';

const label = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
const subdomain = new RegExp(`^${label}(\\.${label})*$`);
const qualifiedName = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;
const maxAnnotationBytes = 256 * 1024;

/** What an API server finds wrong with an object's metadata, as its own messages; empty when nothing. */
export function findMetadataFaults(meta: ObjectMeta): readonly string[] {
  const faults: string[] = [];
  const { name = '', labels = {}, annotations = {}, ownerReferences = [] } = meta;
  if (name.length > 253 || !subdomain.test(name)) {
    faults.push(
      `metadata.name: Invalid value: ${JSON.stringify(name)}: a lowercase RFC 1123 subdomain of at most 253 characters`,
    );
  }
  for (const [key, value] of Object.entries(labels)) {
    if (!isQualifiedKey(key))
      faults.push(`metadata.labels: Invalid value: ${JSON.stringify(key)}: not a qualified name`);
    if (typeof value !== 'string' || value.length > 63 || (value !== '' && !qualifiedName.test(value))) {
      faults.push(
        `metadata.labels: Invalid value: ${JSON.stringify(value)}: not a label value of at most 63 characters`,
      );
    }
  }
  let bytes = 0;
  for (const [key, value] of Object.entries(annotations)) {
    if (!isQualifiedKey(key.toLowerCase())) {
      faults.push(`metadata.annotations: Invalid value: ${JSON.stringify(key)}: not a qualified name`);
    }
    if (typeof value === 'string') bytes += Buffer.byteLength(key) + Buffer.byteLength(value);
    else faults.push(`metadata.annotations: Invalid value: ${JSON.stringify(value)}: not a string`);
  }
  if (bytes > maxAnnotationBytes)
    faults.push(`metadata.annotations: Too long: may not be more than ${maxAnnotationBytes} bytes`);
  for (const owner of ownerReferences) {
    const missing = (['apiVersion', 'kind', 'name', 'uid'] as const).filter((member) => !owner[member]);
    faults.push(...missing.map((member) => `metadata.ownerReferences.${member}: Invalid value: "": must not be empty`));
  }
  if (ownerReferences.filter((owner) => owner.controller === true).length > 1) {
    faults.push('metadata.ownerReferences: Invalid value: only one reference can have controller set to true');
  }
  return faults;
}

/** `[prefix/]name`: the prefix a subdomain, the name at most 63 characters. */
function isQualifiedKey(key: string): boolean {
  const slash = key.indexOf('/');
  const name = key.slice(slash + 1);
  const prefix = slash < 0 ? undefined : key.slice(0, slash);
  if (prefix !== undefined && (prefix.length > 253 || !subdomain.test(prefix))) return false;
  return name.length <= 63 && qualifiedName.test(name);
}

/** Refuses an object that is not of the kind it is sent as, as an API server does. */
export function requireKind(type: ResourceType, object: KubeObject): void {
  const expected = apiVersionOf(type);
  if (object.apiVersion !== expected) {
    const message = `the API version in the data (${object.apiVersion}) does not match the expected API version (${expected})`;
    throw new KubeError('BadRequest', message, { status: 400 });
  }
  if (object.kind === type.kind) return;
  const fault = `kind: Invalid value: ${JSON.stringify(object.kind)}: must be ${type.kind}`;
  throw invalid(type, object.metadata.name, [fault]);
}

/** Empty lists, maps and strings of metadata are the same as none. */
export function dropEmpty(meta: ObjectMeta): ObjectMeta {
  const isEmpty = (value: unknown): boolean => {
    return value === '' || value === null || (typeof value === 'object' && Object.keys(value).length === 0);
  };
  return Object.fromEntries(Object.entries(meta).filter(([, value]) => !isEmpty(value)));
}

/** A frozen copy with some metadata changed. */
export function withMeta(object: KubeObject, meta: Partial<ObjectMeta>): KubeObject {
  return freezeCopy({ ...object, metadata: dropEmpty({ ...object.metadata, ...meta }) });
}
