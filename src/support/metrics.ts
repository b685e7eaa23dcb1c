import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';

/** One metric with its samples at the moment of a scrape. */
export interface MetricFamily {
  readonly name: string;
  readonly help: string;
  /** A counter's value is absolute here: it is kept in the status of objects, not in this process. */
  readonly type: 'gauge' | 'counter';
  readonly samples: readonly { readonly labels: Readonly<Record<string, string>>; readonly value: number }[];
}

export interface CountedMetric {
  add(labels: Readonly<Record<string, string>>, amount?: number): void;
}

export interface TimedMetric {
  observe(labels: Readonly<Record<string, string>>, seconds: number): void;
}

/** The only door to prom-client. */
export interface Metrics {
  /** Families that are made anew from objects at each scrape; what is not among the samples is absent. */
  collect(source: () => readonly MetricFamily[]): void;
  /** A counter of this process. */
  counter(name: string, help: string, labelNames: readonly string[]): CountedMetric;
  /** A histogram of seconds. */
  histogram(name: string, help: string, labelNames: readonly string[]): TimedMetric;
  /** The text of a scrape. */
  text(): Promise<string>;
  readonly contentType: string;
}

const secondsBuckets = [0.001, 0.005, 0.025, 0.1, 0.5, 2, 10, 60];

/** A registry of its own: two controllers in one process do not share metrics. */
export function openMetrics(options: { readonly processMetrics: boolean }): Metrics {
  const registry = new Registry();
  const sources: (() => readonly MetricFamily[])[] = [];
  if (options.processMetrics) collectDefaultMetrics({ register: registry });

  const scrapeRegistry = (): Registry => {
    const scraped = new Registry();
    for (const family of sources.flatMap((source) => source())) {
      if (family.samples.length === 0) continue;
      const shape = {
        name: family.name,
        help: family.help,
        labelNames: [...new Set(family.samples.flatMap((sample) => Object.keys(sample.labels)))],
        registers: [scraped],
      };
      if (family.type === 'counter') {
        const counter = new Counter(shape);
        for (const sample of family.samples) counter.inc({ ...sample.labels }, sample.value);
      } else {
        const gauge = new Gauge(shape);
        for (const sample of family.samples) gauge.set({ ...sample.labels }, sample.value);
      }
    }
    return scraped;
  };

  return {
    collect: (source) => void sources.push(source),
    counter: (name, help, labelNames) => {
      const counter = new Counter({ name, help, labelNames: [...labelNames], registers: [registry] });
      return { add: (labels, amount = 1) => counter.inc({ ...labels }, amount) };
    },
    histogram: (name, help, labelNames) => {
      const shape = { name, help, labelNames: [...labelNames], buckets: secondsBuckets, registers: [registry] };
      const histogram = new Histogram(shape);
      return { observe: (labels, seconds) => histogram.observe({ ...labels }, seconds) };
    },
    text: async () => {
      const parts = [await scrapeRegistry().metrics(), await registry.metrics()];
      return `${parts
        .map((part) => part.trim())
        .filter((part) => part !== '')
        .join('\n\n')}\n`;
    },
    contentType: registry.contentType,
  };
}
