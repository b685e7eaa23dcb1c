import type { Command } from 'commander';
import { wholeNumber } from './parse-number.ts';
import type { DecryptOptions } from './decrypt.ts';
import type { EncryptOptions } from './encrypt.ts';
import type { KeygenOptions } from './keygen.ts';
import type { RewrapOptions } from './rewrap.ts';
import type { VerifyManifestOptions } from './verify-manifest.ts';

/** What is done for a command line. */
export interface EncryptionCommands {
  readonly keygen: (options: KeygenOptions) => Promise<void>;
  readonly decrypt: (volumes: readonly string[], options: DecryptOptions) => Promise<void>;
  readonly encrypt: (file: string, options: EncryptOptions) => Promise<void>;
  readonly recipients: (keyFile: string) => Promise<void>;
  readonly verifyManifest: (manifest: string, options: VerifyManifestOptions) => Promise<void>;
  readonly rewrap: (files: readonly string[], options: RewrapOptions) => Promise<void>;
}

/** The commands for keys and encrypted backups, without an operator. */
export function addEncryption(program: Command, commands: EncryptionCommands): void {
  addKeygen(program, commands);
  addDecrypt(program, commands);
  addEncrypt(program, commands);
  addRewrap(program, commands);
}

function addKeygen(program: Command, { keygen, recipients, verifyManifest }: EncryptionCommands): void {
  program
    .command('keygen')
    .summary('makes a key pair for encrypted backups')
    .description(
      'Writes a new private key to a file, and its public key to stdout: for spec.encryption.recipients, or with --signing for signatures.',
    )
    .option(
      '--out <file>',
      'file of the private key; never one that is there (default: private-key.pem, signing-key.pem)',
    )
    .option('--bits <number>', 'of RSA: 2048 to 8192', wholeNumber(2048, 8192), 4096)
    .option('--signing', 'an Ed25519 pair that signs manifests (spec.signing)', false)
    .action(async (options: Record<string, unknown>) => {
      const given = { out: undefined, ...options };
      await keygen(given as unknown as KeygenOptions);
    });
  program
    .command('verify-manifest')
    .summary('checks the signature of a manifest')
    .description('Checks a manifest against its signature, and prints the key under which it must lie.')
    .argument('<manifest>', 'manifest.json')
    .requiredOption('--signature <file>', 'manifest.sig beside the artifacts')
    .requiredOption('--public-key <file>', 'the public key in PEM')
    .action(verifyManifest);
  program
    .command('recipients')
    .summary('tells who can open an encrypted backup')
    .description(
      'Prints the names of the recipients of a key file, one on a line, and on stderr what it says it belongs to.',
    )
    .argument('<key-file>', 'key.enc of the backup')
    .action(recipients);
}

function addDecrypt(program: Command, { decrypt }: EncryptionCommands): void {
  const command = program
    .command('decrypt')
    .summary('reads what an encrypted backup holds')
    .description(
      'Writes the bytes of one artifact of an encrypted backup to stdout, compressed as they were stored: ' +
        'pgbackup decrypt --key-file key.enc --identity private-key.pem shop.dump.zst.enc | zstd -d | pg_restore …',
    )
    .argument('<volumes...>', 'the volumes of one artifact, in order; - for stdin')
    .requiredOption('--key-file <file>', 'key.enc of the backup');
  withIdentities(command).action(async (volumes: readonly string[], options: Record<string, unknown>) => {
    const given = { passphraseFile: undefined, kmsEndpoint: undefined, ...options };
    await decrypt(volumes, given as unknown as DecryptOptions);
  });
}

function addEncrypt(program: Command, { encrypt }: EncryptionCommands): void {
  const command = program
    .command('encrypt')
    .summary('encrypts a file as backups are')
    .description(
      'Writes a file, encrypted, to stdout, and what its recipients open it with to a key file: ' +
        'pgbackup encrypt --key-file dump.key --recipient public-key.pem dump > dump.enc. pgbackup decrypt reads both.',
    )
    .argument('<file>', 'the file; - for stdin')
    .requiredOption('--key-file <file>', 'where its wrapped key is written; never one that is there');
  withRecipients(command)
    .option('--kms-endpoint <url>', 'a server that speaks as AWS KMS')
    .action(async (file: string, options: Record<string, unknown>) => {
      const given = { kmsEndpoint: undefined, ...options };
      await encrypt(file, given as unknown as EncryptOptions);
    });
}

function addRewrap(program: Command, { rewrap }: EncryptionCommands): void {
  const command = program
    .command('rewrap')
    .summary('changes who can open stored backups')
    .description(
      'Wraps the keys of encrypted backups anew, for the given recipients and nobody else; no data is read or written. ' +
        'Who had the key or a copy of the old key file keeps what he has. It can be ended and started again at any time.',
    )
    .argument('<files...>', 'YAML files or folders with BackupLocations and Secrets; - for stdin')
    .option('--location <name>', 'only in this location (default: all of the files)')
    .option('--policy <name>', 'all backups of this policy')
    .option('--backup <name>', 'this backup')
    .option('--namespace <name>', 'of the backups (default: that of the location)')
    .option('--dry-run', 'only print what would change', false);
  withRecipients(withIdentities(command)).action(
    async (files: readonly string[], options: Record<string, unknown>, self: Command) => {
      if (options['policy'] === undefined && options['backup'] === undefined)
        self.error('error: give --policy or --backup', { exitCode: 64 });
      const absent = {
        passphraseFile: undefined,
        kmsEndpoint: undefined,
        location: undefined,
        policy: undefined,
        backup: undefined,
        namespace: undefined,
      };
      await rewrap(files, { ...absent, ...options } as unknown as RewrapOptions);
    },
  );
}

const withIdentities = (command: Command): Command =>
  command
    .option('--identity <file>', 'a private key in PEM, a key of 256 bits, or a passphrase (repeatable)', collect, [])
    .option('--passphrase-file <file>', 'the passphrase of private keys that have one')
    .option('--kms', 'also ask AWS KMS, as whom the environment says (AWS_ACCESS_KEY_ID, AWS_PROFILE …)', false)
    .option('--kms-endpoint <url>', 'a server that speaks as AWS KMS');

const withRecipients = (command: Command): Command =>
  command
    .option('--recipient <file>', 'a public key in PEM, a key of 256 bits, or a passphrase (repeatable)', collect, [])
    .option('--recipient-kms <arn>', 'a key of AWS KMS, or an alias, by its ARN (repeatable)', collect, []);

function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}
