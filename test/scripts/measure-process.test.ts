import { expect, test } from 'vitest';
import { measureProcess } from '../../bench/measure-process.ts';

const env = { PATH: process.env['PATH'] ?? '' };

test('a process is measured with its children: time of processors and memory of the whole tree', async () => {
  // Works until it has used 300 ms of a processor, however busy the machine is.
  const grow = `const b = Buffer.alloc(150e6, 1);
    for (let used = 0; used < 300e3; ) {
      for (let i = 0; i < 1e6; i += 1);
      const { user, system } = process.cpuUsage();
      used = user + system;
    }
    process.exit(b[0] - 1)`;
  const { wallSeconds, cpuSeconds, peakRssBytes } = await measureProcess(
    ['bash', '-c', `'${process.execPath}' -e '${grow}' & wait $!`],
    env,
  );
  expect(wallSeconds).toBeGreaterThan(0.25);
  expect(cpuSeconds).toBeGreaterThan(0.3);
  expect(peakRssBytes).toBeGreaterThan(150e6);
});

test('a process that fails is no measurement', async () => {
  await expect(measureProcess(['bash', '-c', 'echo no luck >&2; exit 3'], env)).rejects.toThrow(
    /ended with 3: no luck/,
  );
});
