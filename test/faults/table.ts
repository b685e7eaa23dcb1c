import { databaseCases } from './cases/database.ts';
import type { FaultCase } from './fault-case.ts';

/** Every fault that a whole run is tried with. */
export const faultTable: readonly FaultCase[] = [...databaseCases];
