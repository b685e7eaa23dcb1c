import { s3Cases } from './cases/s3.ts';
import { tryFaults } from './try-faults.ts';

tryFaults(s3Cases);
