import { sftpCases } from './cases/sftp.ts';
import { tryFaults } from './try-faults.ts';

tryFaults(sftpCases);
