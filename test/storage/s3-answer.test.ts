import { expect, test } from 'vitest';
import { checkAnswer } from '../../src/storage/s3-answer.ts';

const answer = (text: string) => ({ statusCode: 200, headers: {}, body: Buffer.from(text) });

test.each(['InitiateMultipartUploadResult', 'InitiateMultipartUpload'])(
  'an upload is begun by an answer whose root is %s',
  async (root) => {
    const begun = answer(`<?xml version="1.0"?><${root}><UploadId>1</UploadId></${root}>`);
    await expect(checkAnswer(begun, 'CreateMultipartUploadCommand', 0)).resolves.toBeUndefined();
  },
);

test.each(['<html></html>', '<Result></Result>', '<ListBucketResult></ListBucketResult>', 'welcome'])(
  'no upload is begun by %s',
  async (text) => {
    await expect(checkAnswer(answer(text), 'CreateMultipartUploadCommand', 0)).rejects.toThrow('not an S3 answer');
  },
);
