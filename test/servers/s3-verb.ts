export type S3Verb =
  'put' | 'begin' | 'part' | 'complete' | 'abort' | 'parts' | 'head' | 'get' | 'list' | 'delete' | 'uploads';

/** What a request to an S3 server asks for; `key` is what stands below the bucket. */
export function verbOf(method: string, query: URLSearchParams, key: string): S3Verb {
  if (method === 'PUT') return query.has('partNumber') ? 'part' : 'put';
  if (method === 'POST') return query.has('uploads') ? 'begin' : 'complete';
  if (method === 'DELETE') return query.has('uploadId') ? 'abort' : 'delete';
  if (method === 'HEAD') return 'head';
  if (query.has('uploadId')) return 'parts';
  if (query.has('uploads')) return 'uploads';
  return key === '' ? 'list' : 'get';
}
