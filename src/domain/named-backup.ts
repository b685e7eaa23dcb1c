import { z } from 'zod';

/** A backup as a task names it: there must be no other one in its place. */
export const namedBackup = z.strictObject({
  id: z.string().regex(/^[a-z0-9-]{1,57}$/),
  /** As the manifest has it: another one is refused. */
  uid: z.string().min(1).max(253),
  /** Refuse a manifest of other bytes. */
  manifestSha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .optional(),
});
export type NamedBackup = z.infer<typeof namedBackup>;

/** Whose backups a task is about. */
export const namedPolicy = {
  namespace: z.string().regex(/^[a-z0-9-]{1,63}$/),
  policy: z.strictObject({ name: z.string().regex(/^[a-z0-9-]{1,40}$/), uid: z.string().min(1).max(253) }),
};

export function eachOnce(backups: readonly { readonly id: string }[]): boolean {
  return new Set(backups.map((backup) => backup.id)).size === backups.length;
}
