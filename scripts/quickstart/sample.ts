import type { Postgres } from '../../test/servers/postgres.ts';

/** The user that backs up: it can read everything and change nothing. */
export const backupUser = { name: 'backup', password: 'quickstart' } as const;
/** The user that restores: it owns nothing of the sample, and may do everything. */
export const restoreUser = { name: 'restorer', password: 'quickstart-too' } as const;

const roles = `
  CREATE ROLE ${backupUser.name} LOGIN PASSWORD '${backupUser.password}' IN ROLE pg_read_all_data;
  CREATE ROLE ${restoreUser.name} LOGIN SUPERUSER PASSWORD '${restoreUser.password}';
  CREATE ROLE shop_owner NOLOGIN;
  CREATE ROLE shop_app LOGIN CONNECTION LIMIT 50;
  CREATE ROLE reporting NOLOGIN;
  GRANT shop_owner TO shop_app;
  ALTER ROLE shop_app SET statement_timeout = '30s';
`;

// Rows come from their numbers alone, so that every run makes the same database.
const text = (number: string, words: number): string =>
  `(SELECT string_agg((ARRAY['amber','birch','cobalt','delta','ember','fjord','garnet','harbor','indigo','juniper','kelp','lumen','maple','nectar','onyx','prairie'])[1 + (hashint4(${number} * 31 + w) & 15)], ' ') FROM generate_series(1, ${words}) w)`;

const shop: readonly (readonly string[])[] = [
  [
    `CREATE TABLE customers AS SELECT i AS id, 'customer' || i || '@example.com' AS email,
       initcap(${text('i', 2)}) AS name, (ARRAY['DE','FR','PL','US','JP','BR'])[1 + i % 6] AS country,
       timestamptz '2024-01-01 00:00Z' + i * interval '97 seconds' AS created_at
     FROM generate_series(1, 130000) i`,
    `ALTER TABLE customers ADD PRIMARY KEY (id)`,
    `CREATE UNIQUE INDEX customers_email ON customers (lower(email))`,
    `CREATE TABLE orders AS SELECT i AS id, 1 + (hashint4(i) & 2147483647) % 130000 AS customer_id,
       (ARRAY['paid','paid','paid','shipped','returned','open'])[1 + i % 6] AS state,
       (hashint4(i + 7) & 65535) / 100.0::numeric(10, 2) AS total,
       timestamptz '2025-01-01 00:00Z' + i * interval '41 seconds' AS placed_at
     FROM generate_series(1, 450000) i`,
    `ALTER TABLE orders ADD PRIMARY KEY (id)`,
    `CREATE INDEX orders_customer ON orders (customer_id, placed_at)`,
    `CREATE TABLE order_items AS SELECT o AS order_id, n::smallint AS line, (hashint4(o * 3 + n) & 8191) AS product_id,
       1 + (hashint4(o + n) & 3) AS quantity, (hashint4(o * 5 + n) & 32767) / 100.0::numeric(10, 2) AS price
     FROM generate_series(1, 450000) o, generate_series(1, 2) n`,
    `ALTER TABLE order_items ADD PRIMARY KEY (order_id, line)`,
  ],
  [
    `CREATE TABLE events AS SELECT i::bigint AS id, timestamptz '2025-06-01 00:00Z' + i * interval '3 seconds' AS at,
       jsonb_build_object('kind', (ARRAY['view','view','search','cart','checkout'])[1 + i % 5],
         'session', md5((i / 9)::text), 'path', '/p/' || (hashint4(i) & 8191),
         'agent', jsonb_build_object('os', (ARRAY['linux','mac','windows','ios','android'])[1 + (hashint4(i / 9) & 3)], 'version', i % 40),
         'ms', hashint4(i) & 4095, 'words', ${text('i', 4)}) AS payload
     FROM generate_series(1, 320000) i`,
    `ALTER TABLE events ADD PRIMARY KEY (id)`,
    `CREATE INDEX events_kind ON events ((payload ->> 'kind'), at)`,
  ],
];

const afterShop = `
  ALTER TABLE orders ADD FOREIGN KEY (customer_id) REFERENCES customers;
  CREATE VIEW revenue AS SELECT date_trunc('month', placed_at) AS month, sum(total) AS total FROM orders GROUP BY 1;
  ALTER TABLE customers OWNER TO shop_owner;
  ALTER TABLE orders OWNER TO shop_owner;
  GRANT SELECT ON ALL TABLES IN SCHEMA public TO reporting;
  COMMENT ON TABLE events IS 'what visitors did';
`;

const blog = `
  CREATE TABLE posts (id int PRIMARY KEY, slug text UNIQUE, body text, published_at timestamptz);
  INSERT INTO posts SELECT i, 'post-' || i, ${text('i', 60)}, timestamptz '2025-01-01 00:00Z' + i * interval '1 hour'
    FROM generate_series(1, 4000) i;
  CREATE INDEX posts_published ON posts (published_at DESC);
`;

/** What must not happen, to the largest database: rows, a table and a column are gone, and the application writes on. */
export const accident = `
  DELETE FROM order_items WHERE order_id % 3 = 0;
  DROP TABLE events;
  ALTER TABLE customers DROP COLUMN email;
  INSERT INTO customers (id, name) SELECT i, 'after the accident' FROM generate_series(200001, 200010) i;
`;

/** Two databases, roles and settings, as a small shop has them: about 380 MB. Resolves with name and size of each. */
export async function makeSample(
  postgres: Postgres,
): Promise<readonly { readonly name: string; readonly bytes: number }[]> {
  await postgres.sql(roles);
  await postgres.sql('CREATE DATABASE shop OWNER shop_owner');
  await postgres.sql('CREATE DATABASE blog');
  await postgres.sql(`ALTER DATABASE shop SET timezone = 'Europe/Berlin'`);
  // One connection for each core; each transaction starts with tables of its own, which need no write-ahead log then.
  await Promise.all([
    ...shop.map(async (statements) => postgres.sql(statements.join(';\n'), 'shop')),
    postgres.sql(blog, 'blog'),
  ]);
  await postgres.sql(afterShop, 'shop');
  const rows = await postgres.sql<{ name: string; bytes: string }>(
    `SELECT datname AS name, pg_database_size(datname) AS bytes FROM pg_database WHERE datname IN ('shop', 'blog') ORDER BY 2 DESC`,
  );
  return rows.map(({ name, bytes }) => ({ name, bytes: Number(bytes) }));
}
