import { databaseCases } from './cases/database.ts';
import { directoryCases } from './cases/directory.ts';
import { fanOutCases } from './cases/fan-out.ts';
import { lyingCases } from './cases/lying.ts';
import { podCases } from './cases/pod.ts';
import { s3Cases } from './cases/s3.ts';
import { sftpCases } from './cases/sftp.ts';
import type { FaultCase } from './fault-case.ts';

/** Every fault that a whole run is tried with. */
export const faultTable: readonly FaultCase[] = [
  ...podCases,
  ...databaseCases,
  ...s3Cases,
  ...sftpCases,
  ...fanOutCases,
  ...directoryCases,
  ...lyingCases,
];
