import type { KubeObject, ResourceType } from './client.ts';

export const leaseType: ResourceType = {
  group: 'coordination.k8s.io',
  version: 'v1',
  kind: 'Lease',
  plural: 'leases',
  namespaced: true,
};

/** What a Lease says. Its times are of somebody else's clock: for people to read, never to decide by. */
export interface LeaseRecord {
  /** '' when nobody holds it. */
  readonly holder: string;
  /** How long the holder may go without renewing before others take it; undefined when it does not say. */
  readonly durationMs: number | undefined;
  readonly acquireTime: string | undefined;
  readonly renewTime: string | undefined;
  /** How often it changed hands. */
  readonly transitions: number;
}

/** Reads any Lease, also one that another program wrote: what is missing or of another type counts as not said. */
export function readLeaseRecord({ spec }: KubeObject): LeaseRecord {
  const said = (spec ?? {}) as Readonly<Record<string, unknown>>;
  const text = (name: string): string | undefined => (typeof said[name] === 'string' ? said[name] : undefined);
  const whole = (name: string): number | undefined => (Number.isInteger(said[name]) ? Number(said[name]) : undefined);
  const seconds = whole('leaseDurationSeconds');
  return {
    holder: text('holderIdentity') ?? '',
    durationMs: seconds !== undefined && seconds > 0 ? seconds * 1000 : undefined,
    acquireTime: text('acquireTime'),
    renewTime: text('renewTime'),
    transitions: whole('leaseTransitions') ?? 0,
  };
}

/** The Lease with this record; what else stands in `before` is kept. */
export function writeLeaseRecord(
  before: KubeObject | { readonly namespace: string; readonly name: string },
  record: LeaseRecord & { readonly durationMs: number },
): KubeObject {
  const known = 'metadata' in before ? before : undefined;
  return {
    apiVersion: `${leaseType.group}/${leaseType.version}`,
    kind: leaseType.kind,
    metadata: 'metadata' in before ? before.metadata : before,
    spec: {
      ...(known?.spec as object | undefined),
      holderIdentity: record.holder,
      leaseDurationSeconds: Math.ceil(record.durationMs / 1000),
      acquireTime: record.acquireTime,
      renewTime: record.renewTime,
      leaseTransitions: record.transitions,
    },
  };
}

/** A MicroTime of Kubernetes; `count` fills the digits below the millisecond, so that no two renewals look the same. */
export function microTime(ms: number, count: number): string {
  return `${new Date(ms).toISOString().slice(0, -1)}${String(count % 1000).padStart(3, '0')}Z`;
}
