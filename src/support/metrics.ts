import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import { printSamples, type Sample, type SampledMetric } from './print-samples.ts';

export interface MetricDefinition {
  readonly name: string;
  readonly help: string;
  readonly type: 'gauge' | 'counter' | 'histogram';
  readonly labels: readonly string[];
  /** Of a histogram, in its unit. */
  readonly buckets?: readonly number[];
}

/** The only door to prom-client: a registry of its own, so that several controllers fit into one process. */
export interface Metrics {
  /** Adds to a counter that lives with the process. */
  count(name: string, labels: Readonly<Record<string, string>>, by?: number): void;
  /** One value of a histogram that lives with the process. */
  observe(name: string, labels: Readonly<Record<string, string>>, value: number): void;
  /** The text format; what is derived is read now. */
  print(): Promise<{ readonly contentType: string; readonly text: string }>;
}

export interface MetricsOptions {
  /** Counted while the process lives. */
  readonly live: readonly MetricDefinition[];
  /** Computed anew at each scrape: a sample that `derive` does not give is absent, never 0. */
  readonly derived: readonly SampledMetric[];
  /** Read one by one, with room for others in between. */
  readonly derive: () => Iterable<Sample>;
  /** Also memory, CPU and event loop of this process, with prom-client's names. */
  readonly processMetrics: boolean;
}

export function openMetrics(options: MetricsOptions): Metrics {
  const registry = new Registry();
  if (options.processMetrics) collectDefaultMetrics({ register: registry });
  const build = ({ name, help, type, labels, buckets }: MetricDefinition) => {
    const common = { name, help, labelNames: [...labels], registers: [registry] };
    if (type === 'gauge') return new Gauge(common);
    if (type === 'counter') return new Counter(common);
    return new Histogram({ ...common, ...(buckets === undefined ? {} : { buckets: [...buckets] }) });
  };
  const live = new Map(options.live.map((definition) => [definition.name, build(definition)]));

  // One scrape after the other: each takes memory as long as it is printed.
  let last: Promise<unknown> = Promise.resolve();
  const print = async (): Promise<{ readonly contentType: string; readonly text: string }> => {
    const derived = await printSamples(options.derived, options.derive());
    const live = await registry.metrics();
    return { contentType: registry.contentType, text: live.trim() === '' ? derived : `${live}\n${derived}` };
  };

  return {
    count: (name, labels, by = 1) => {
      const metric = live.get(name);
      if (!(metric instanceof Counter)) throw new TypeError(`${name} is no counter`);
      metric.inc(labels, by);
    },
    observe: (name, labels, value) => {
      const metric = live.get(name);
      if (!(metric instanceof Histogram)) throw new TypeError(`${name} is no histogram`);
      metric.observe(labels, value);
    },
    print: () => {
      const next = last.then(print);
      last = next.catch(() => undefined);
      return next;
    },
  };
}
