/** As much of etcd as a benchmark needs, by its JSON gateway. Rejects with Error when it refuses. */
export interface Etcd {
  get(key: string): Promise<string>;
  /** All of them at once; as many as etcd takes in one transaction. */
  putAll(pairs: readonly (readonly [key: string, value: string])[]): Promise<void>;
}

export function openEtcd(url: string): Etcd {
  const ask = async (path: string, body: unknown): Promise<unknown> => {
    const answer = await fetch(`${url}/v3/kv/${path}`, { method: 'POST', body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(`etcd refuses: ${await answer.text()}`);
    return answer.json();
  };
  return {
    get: async (key) => {
      const { kvs } = (await ask('range', { key: encode(key) })) as { readonly kvs?: readonly { value: string }[] };
      if (kvs?.[0] === undefined) throw new Error(`etcd has no ${key}`);
      return Buffer.from(kvs[0].value, 'base64').toString('utf8');
    },
    putAll: async (pairs) => {
      const success = pairs.map(([key, value]) => ({ request_put: { key: encode(key), value: encode(value) } }));
      await ask('txn', { success });
    },
  };
}

function encode(text: string): string {
  return Buffer.from(text).toString('base64');
}
