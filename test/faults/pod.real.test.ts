import { directoryCases } from './cases/directory.ts';
import { podCases } from './cases/pod.ts';
import { tryFaults } from './try-faults.ts';

tryFaults([...podCases, ...directoryCases]);
