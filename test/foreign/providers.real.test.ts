import { join } from 'node:path';
import { providers, type S3Manners } from '../servers/s3-manners.ts';
import { startS3Provider } from '../servers/s3-provider.ts';
import { startS3 } from '../servers/s3.ts';
import { makeTemporaryFolder } from '../servers/temporary-folder.ts';
import { storageConformance } from '../suites/storage-conformance.ts';
import { providerDeviations } from './provider-deviations.ts';
import { countArrived, s3PlaceUnderTest } from './s3-place.ts';

const versitygw = process.env['VERSITYGW'];

for (const [name, manners] of Object.entries<S3Manners>(providers)) {
  storageConformance(
    `an S3 server with the manners of ${name}`,
    async () => {
      const folder = await makeTemporaryFolder();
      const server = await startS3({ dir: join(folder.path, 'server'), versitygw });
      await server.createBucket('backups');
      const provider = await startS3Provider(server, manners);
      const place = s3PlaceUnderTest({ ...server, endpoint: provider.endpoint }, server, async () => {
        await provider.stop();
        await server.stop();
        await folder.remove();
      });
      return { ...place, arrived: (key) => countArrived(server, key) };
    },
    { deviations: providerDeviations[name] ?? {} },
  );
}
