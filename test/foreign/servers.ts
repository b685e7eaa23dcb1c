import type { PlaceUnderTest } from '../suites/storage-conformance.ts';
import type { ForeignProgram } from './programs.ts';
import { startFauxqs, startGofakes3, startMoto } from './start-s3.ts';
import { startAsyncssh, startProftpd, startRclone } from './start-sftp.ts';

/** A server that somebody else made. */
export interface ForeignServer {
  readonly name: string;
  /** Where it is from, with its version. */
  readonly from: string;
  readonly protocol: 'S3' | 'SFTP';
  readonly needs?: ForeignProgram;
  readonly start: () => Promise<PlaceUnderTest>;
  /** Cases of the suite that it cannot pass, whatever the driver does, and why. */
  readonly deviations: Readonly<Record<string, string>>;
}

const linksNothing = 'it answers that it linked a file, and did not, so that it is looked before each put instead';

export const foreignServers: readonly ForeignServer[] = [
  {
    name: 'moto',
    from: 'PyPI moto 5.2.5',
    protocol: 'S3',
    needs: 'moto',
    start: startMoto,
    deviations: {
      'lets exactly one of racing writers store a key that is to be absent':
        'it looks for the key, and then stores: in between there is room for another',
      'shows what is unfinished below a prefix, and removes it although its writer is at work':
        'it says of every upload that it began in 2010',
      'fails with StorageCredentialsInvalid when the place does not know the credentials': 'it takes any signature',
    },
  },
  {
    name: 'gofakes3',
    from: 'Go module github.com/johannesboyne/gofakes3 v1.2.0',
    protocol: 'S3',
    needs: 'gofakes3',
    start: startGofakes3,
    deviations: {
      'fails with StorageCredentialsInvalid when the place does not know the credentials': 'it takes any signature',
    },
  },
  {
    name: 'fauxqs',
    from: 'npm fauxqs 2.4.1',
    protocol: 'S3',
    start: startFauxqs,
    deviations: {
      'shows what is unfinished below a prefix, and removes it although its writer is at work':
        'it answers a listing of uploads with one of objects',
      'shows nothing unfinished where all is finished': 'it answers a listing of uploads with one of objects',
      'takes a body of 150 MB and gives it back without growing':
        'it runs in the process of the test, and holds bodies in memory',
      'lets exactly one of racing writers store a key that is to be absent': 'it ignores conditions',
      'fails with StorageCredentialsInvalid when the place does not know the credentials': 'it takes any signature',
    },
  },
  {
    name: 'asyncssh with requests of at most 16 KiB',
    from: 'PyPI asyncssh 2.24.1',
    protocol: 'SFTP',
    needs: 'python',
    start: () => startAsyncssh(16 * 1024),
    deviations: {},
  },
  {
    name: 'ProFTPD with mod_sftp',
    from: 'Debian proftpd-mod-crypto',
    protocol: 'SFTP',
    needs: 'proftpd',
    start: startProftpd,
    deviations: {},
  },
  {
    name: 'rclone serve sftp',
    from: 'Debian rclone',
    protocol: 'SFTP',
    needs: 'rclone',
    start: () => startRclone('off'),
    deviations: {
      'lets exactly one of racing writers store a key that is to be absent': linksNothing,
      'shows what is unfinished below a prefix, and removes it although its writer is at work':
        'it says that it deleted a file that is being written to, and keeps it: its writer, undisturbed, ends well',
    },
  },
  {
    name: 'rclone serve sftp with --vfs-cache-mode writes and --vfs-write-back 0s',
    from: 'Debian rclone',
    protocol: 'SFTP',
    needs: 'rclone',
    start: () => startRclone('writes'),
    deviations: {
      'lets exactly one of racing writers store a key that is to be absent': linksNothing,
    },
  },
];
