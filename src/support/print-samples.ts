import { nextTurn } from './clock.ts';

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface SampledMetric {
  readonly name: string;
  readonly help: string;
  readonly type: 'gauge' | 'counter';
}

/** About a millisecond of work. */
const sliceOf = 200;

/**
 * Samples in Prometheus' text format, by metric, each set of labels once: counters are added up, of gauges the last one counts. In slices, because
 * there may be hundreds of thousands; nothing is kept of them afterwards.
 */
export async function printSamples(metrics: readonly SampledMetric[], samples: Iterable<Sample>): Promise<string> {
  const found = new Map(metrics.map((metric) => [metric.name, { metric, values: new Map<string, number>() }] as const));
  // Samples of one object come in a row and share their labels.
  let before: { readonly labels: Sample['labels']; readonly text: string } | undefined;
  let count = 0;
  for (const { name, labels, value } of samples) {
    const known = found.get(name);
    if (known === undefined) throw new TypeError(`${name} is no derived metric`);
    if (before?.labels !== labels) before = { labels, text: printLabels(labels) };
    const { metric, values } = known;
    const sum = metric.type === 'counter' ? (values.get(before.text) ?? 0) : 0;
    values.set(before.text, sum + value);
    count += 1;
    if (count % sliceOf === 0) await nextTurn();
  }
  const parts: string[] = [];
  for (const { metric, values } of found.values()) {
    const lines = [`# HELP ${metric.name} ${escape(metric.help)}\n# TYPE ${metric.name} ${metric.type}\n`];
    for (const [labels, value] of values) lines.push(`${metric.name}${labels} ${printValue(value)}\n`);
    parts.push(lines.join(''));
    await nextTurn();
  }
  return parts.join('\n');
}

function printLabels(labels: Sample['labels']): string {
  const pairs = Object.entries(labels).map(([label, value]) => `${label}="${escape(value).replaceAll('"', '\\"')}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

function escape(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

function printValue(value: number): string {
  return Number.isFinite(value) || Number.isNaN(value) ? String(value) : `${value > 0 ? '+' : '-'}Inf`;
}
