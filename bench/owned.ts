/** What is to be ended when the benchmark ends, also when it is interrupted. */
export function openOwned(): AsyncDisposableStack {
  const owned = new AsyncDisposableStack();
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.once(name, () => void owned.disposeAsync().finally(() => process.exit(130)));
  }
  return owned;
}
