import { z } from 'zod';
import { postgresName } from './parts.ts';

/** What can be left out of a restore by its kind. */
export const leavableKinds = [
  'tablespaces',
  'comments',
  'publications',
  'subscriptions',
  'eventTriggers',
  'securityLabels',
  'extensions',
  'policies',
] as const;
export type LeavableKind = (typeof leavableKinds)[number];

/** What becomes of a restore when the server refuses an entry. */
export const onErrors = ['Stop', 'Continue'] as const;

/** How a restore is done. */
export const restoreOptions = z.strictObject({
  jobs: z.int().min(1).max(32).optional().meta({
    format: 'int32',
    description:
      'How many connections load. The rows of a backup are streamed, those of each table through all of them, and as many then make its indexes and constraints; no disk is used. A file of others is first fetched to the scratch volume if it is more than 1. Default: 2 for backups with modes Replace and Create where the server has room for them and no pooler is between; else 1.',
  }),
  maintenanceWorkMem: z
    .string()
    .max(16)
    .regex(/^[1-9][0-9]{0,9}(kB|MB|GB)$/)
    .optional()
    .meta({
      description:
        'maintenance_work_mem of each connection that loads, with modes Replace and Create. Default: 256MB, or what the server gives if that is more.',
    }),
  synchronousCommit: z.boolean().default(false).meta({
    description:
      'With modes Replace and Create: wait for the server’s disk at each commit of the load. Nobody sees the database before the swap, which waits for all of it.',
  }),
  noOwner: z.boolean().default(false).meta({ description: 'Objects belong to the user who restores (or to role).' }),
  noPrivileges: z.boolean().default(false).meta({ description: 'Without grants.' }),
  without: z.array(z.enum(leavableKinds)).min(1).max(leavableKinds.length).optional().meta({
    description:
      'Left out. tablespaces: everything lies in the database’s default tablespace, wherever it lay at the source. extensions: they are not created, with the rows of their own tables; what uses them expects them to be there. policies: also that row security is on, so that who may read a table sees all of its rows.',
    'x-kubernetes-list-type': 'set',
  }),
  onError: z.enum(onErrors).default('Stop').meta({
    description:
      'Continue: what the server refuses is left out, named in status.databases[].refused, and the request ends as RestoredInPart, which is no success. Look at it before you use the database: what is missing may have protected rows.',
  }),
  searchPath: z.array(postgresName()).min(1).max(16).optional().meta({
    description:
      'Schemas in which names without a schema are looked up while archives and scripts of pg_dump load; pg_dump itself says none. For functions that rely on a search_path, in generated columns, indexes and materialized views.',
  }),
  role: postgresName().optional().meta({ description: 'SET ROLE to this before the restore.' }),
  globals: z.boolean().default(false).meta({
    description:
      'Create the roles and grants of memberships that are missing; roles that exist stay as they are. Without what privilegedGlobals names.',
  }),
  privilegedGlobals: z.boolean().default(false).meta({
    description:
      'With globals: new roles also get SUPERUSER, REPLICATION, BYPASSRLS, CREATEROLE, rights to set parameters, and membership in roles that were there before, as the source has it. Only for sources that you trust like the server’s superuser.',
  }),
  analyze: z.boolean().default(true).meta({
    description:
      'ANALYZE before the checks. A table that cannot be analyzed, or has foreign tables below it, is left out with a note.',
  }),
});
