import { databaseCases } from './cases/database.ts';
import { tryFaults } from './try-faults.ts';

tryFaults(databaseCases, 'tls');
