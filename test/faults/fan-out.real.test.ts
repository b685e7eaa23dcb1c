import { fanOutCases } from './cases/fan-out.ts';
import { tryFaults } from './try-faults.ts';

tryFaults(fanOutCases);
