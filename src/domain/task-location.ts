import { z } from 'zod';

/** A Secret is named by its folder and keys below the runner's root. */
export const secretKeys = z.strictObject({ secretName: z.string(), keys: z.record(z.string(), z.string()) });

const place = z.strictObject({
  s3: z
    .strictObject({
      bucket: z.string(),
      prefix: z.string().optional(),
      region: z.string().optional(),
      endpoint: z.string().optional(),
      forcePathStyle: z.boolean(),
      storageClass: z.string().optional(),
      serverSideEncryption: z.strictObject({ algorithm: z.string(), kmsKeyId: z.string().optional() }).optional(),
      ca: secretKeys.optional(),
      credentials: secretKeys.optional(),
    })
    .optional(),
  sftp: z
    .strictObject({
      host: z.string(),
      port: z.int(),
      path: z.string(),
      credentials: secretKeys,
      hostKeys: z.array(z.string()),
    })
    .optional(),
  directory: z
    .strictObject({
      path: z.string(),
      /** Name of the mounted volume that `path` is inside of; without it `path` is taken as it is. */
      volume: z.string().optional(),
    })
    .optional(),
});

/** A location as the runner opens it: exactly one of s3, sftp, directory. */
export const taskLocation = z.strictObject({
  name: z.string(),
  place,
  /** Of a backup's destination: nothing is deleted there. */
  appendOnly: z.boolean().optional(),
  /** Public keys in PEM: only manifests count that one of them signed. */
  signedBy: z.array(z.string()).min(1).optional(),
});
