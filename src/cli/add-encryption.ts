import type { Command } from 'commander';
import { wholeNumber } from './parse-number.ts';
import type { DecryptOptions } from './decrypt.ts';
import type { KeygenOptions } from './keygen.ts';

/** What is done for a command line. */
export interface EncryptionCommands {
  readonly keygen: (options: KeygenOptions) => Promise<void>;
  readonly decrypt: (volumes: readonly string[], options: DecryptOptions) => Promise<void>;
  readonly recipients: (keyFile: string) => Promise<void>;
}

/** The commands for keys and encrypted backups, without an operator. */
export function addEncryption(program: Command, { keygen, decrypt, recipients }: EncryptionCommands): void {
  program
    .command('keygen')
    .summary('makes a key pair for encrypted backups')
    .description('Writes a new private key to a file, and its public key, for spec.encryption.recipients, to stdout.')
    .option('--out <file>', 'file of the private key; never one that is there', 'private-key.pem')
    .option('--bits <number>', 'of RSA: 2048 to 8192', wholeNumber(2048, 8192), 4096)
    .action(keygen);
  program
    .command('decrypt')
    .summary('reads what an encrypted backup holds')
    .description(
      'Writes the bytes of one artifact of an encrypted backup to stdout, compressed as they were stored: ' +
        'pgbackup decrypt --key-file key.enc --identity private-key.pem shop.dump.zst.enc | zstd -d | pg_restore …',
    )
    .argument('<volumes...>', 'the volumes of one artifact, in order; - for stdin')
    .requiredOption('--key-file <file>', 'key.enc of the backup')
    .option('--identity <file>', 'a private key in PEM, a key of 256 bits, or a passphrase (repeatable)', collect, [])
    .option('--passphrase-file <file>', 'the passphrase of private keys that have one')
    .option('--kms', 'also ask AWS KMS, as whom the environment says (AWS_ACCESS_KEY_ID, AWS_PROFILE …)', false)
    .option('--kms-endpoint <url>', 'a server that speaks as AWS KMS')
    .action(async (volumes: readonly string[], options: Record<string, unknown>) => {
      const given = { passphraseFile: undefined, kmsEndpoint: undefined, ...options };
      await decrypt(volumes, given as unknown as DecryptOptions);
    });
  program
    .command('recipients')
    .summary('tells who can open an encrypted backup')
    .description(
      'Prints the names of the recipients of a key file, one on a line, and on stderr what it says it belongs to.',
    )
    .argument('<key-file>', 'key.enc of the backup')
    .action(recipients);
}

const collect = (value: string, before: readonly string[]): readonly string[] => [...before, value];
