import type { ControllerMetrics } from '../controller/metrics/open-controller-metrics.ts';
import type { HttpAnswer } from '../support/http.ts';

/** The answer to a scrape of /metrics. */
export async function answerScrape(metrics: Pick<ControllerMetrics, 'print'>): Promise<HttpAnswer> {
  const { contentType, text } = await metrics.print();
  return { status: 200, contentType, body: text };
}
