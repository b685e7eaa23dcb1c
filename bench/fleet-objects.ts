import { createHash } from 'node:crypto';
import { apiVersion, backupKind, backupLocationKind, backupPolicyKind, labels } from '../src/api/kinds.ts';
import { backupName } from '../src/domain/names.ts';
import type { KubeObject } from '../src/kube/client.ts';

const hourMs = 3_600_000;
const stampOf = (timeMs: number): string => `${new Date(timeMs).toISOString().slice(0, 19)}Z`;
const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex');

/** A run of a policy that has ended well, `hours` before `nowMs`, as the controller leaves it. */
export function endedBackup(namespace: string, policy: string, hours: number, nowMs: number): KubeObject {
  const slot = Math.floor(nowMs / hourMs - hours) * hourMs;
  const name = backupName(policy, slot);
  const transition = { lastTransitionTime: stampOf(slot + 95_000), observedGeneration: 1 };
  return {
    apiVersion,
    kind: backupKind.kind,
    metadata: { name, namespace, labels: { [labels.policy]: policy } },
    spec: { policy, slot: stampOf(slot) },
    status: {
      phase: 'Succeeded',
      observedGeneration: 1,
      job: name,
      attempt: hashOf(name).slice(0, 8),
      startedAt: stampOf(slot + 3000),
      completedAt: stampOf(slot + 95_000),
      plainBytes: 1_234_567_890,
      storedBytes: 234_567_890,
      copies: '1/1',
      conditions: [
        {
          type: 'Succeeded',
          status: 'True',
          reason: 'Succeeded',
          message: 'stored at 1 of 1 destinations',
          ...transition,
        },
        { type: 'Complete', status: 'True', reason: 'Succeeded', message: '', ...transition },
      ],
      destinations: [
        {
          location: 'near',
          required: true,
          outcome: 'Stored',
          bytes: 234_570_000,
          readBackBytes: 2_340_000,
          manifestKey: `${namespace}/${policy}/${name}/manifest.json`,
          manifestSha256: hashOf(`${namespace}/${name}`),
        },
      ],
      databases: { stored: ['postgres', 'shop', 'accounting'], failed: [] },
      notes: [{ reason: 'DumpWarned', count: 1 }],
    },
  };
}

/** A run by hand that nobody has looked at. */
export function queuedBackup(namespace: string, policy: string, name: string): KubeObject {
  return { apiVersion, kind: backupKind.kind, metadata: { name, namespace }, spec: { policy } };
}

/** Due once a year, against a server of its own. */
export function fleetPolicy(namespace: string, name: string): KubeObject {
  const postgres = { host: `${name}.example.com`, credentials: { secretName: 'postgres' }, databases: { all: true } };
  const spec = {
    source: { postgres },
    schedule: '0 3 1 1 *',
    timeZone: 'Etc/UTC',
    destinations: [{ location: 'near' }],
  };
  return { apiVersion, kind: backupPolicyKind.kind, metadata: { name, namespace }, spec };
}

/** It was inspected just now. */
export function fleetLocation(namespace: string, nowMs: number): KubeObject {
  const now = stampOf(nowMs);
  return {
    apiVersion,
    kind: backupLocationKind.kind,
    metadata: { name: 'near', namespace },
    spec: { directory: { path: '/backups', claimName: 'backups' } },
    status: {
      phase: 'Available',
      observedGeneration: 1,
      lastProbeTime: now,
      conditions: [
        {
          type: 'Available',
          status: 'True',
          reason: 'Available',
          message: '',
          lastTransitionTime: now,
          observedGeneration: 1,
        },
      ],
    },
  };
}
