import { lyingCases } from './cases/lying.ts';
import { tryFaults } from './try-faults.ts';

tryFaults(lyingCases);
