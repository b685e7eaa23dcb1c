import { z } from 'zod';
import { caRoles, clientCertificateRoles, postgresCredentialRoles, postgresName, secretReference } from './parts.ts';

/** Members of everything that names a PostgreSQL server: where it is, and how to log in. */
export const postgresServerShape = {
  host: z
    .string()
    .min(1)
    .max(253)
    .regex(/^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$|^[0-9A-Fa-f:]+$/)
    .optional()
    .meta({ description: 'Host name or address. Without it the Secret’s uri key says where the server is.' }),
  port: z.int().min(1).max(65_535).default(5432).meta({ format: 'int32', description: 'Counts only with host.' }),
  maintenanceDatabase: postgresName()
    .optional()
    .meta({ description: 'Database to connect to for looking around. Default: the uri’s, else postgres.' }),
  tls: z
    .strictObject({
      mode: z.enum(['disable', 'require', 'verify-ca', 'verify-full']).default('verify-full').meta({
        description: 'As sslmode of libpq. require encrypts without checking who answers.',
      }),
      ca: secretReference(
        caRoles,
        'Certificate authorities (PEM) of the server; without it those of the system.',
      ).optional(),
      clientCertificate: secretReference(clientCertificateRoles, 'Certificate to log in with.').optional(),
      allowCleartextPassword: z.boolean().optional().meta({
        description:
          'With mode disable only SCRAM and md5 are answered. True: also a server that asks for the password itself (LDAP, PAM), which everybody on the way can read. Default: false.',
      }),
    })
    .prefault({})
    .meta({
      description: 'How the connection is protected. Without host it counts only where the uri does not say sslmode.',
    }),
  credentials: secretReference(
    postgresCredentialRoles,
    'User name and password, or a uri (postgresql://user:password@host:port/database) as CloudNativePG’s Secrets have it.',
  ),
};
