import { noteReasons } from './notes.ts';

/**
 * The catalogue of reasons. The same word appears in condition, event, metric, log, exit and docs/reasons.md
 * (which is printed from here). Reasons of failures carry their consequence and the runner's exit code
 * (docs/house.md, Failing); reasons of states say only what they mean.
 */
interface FailureReasonEntry {
  readonly consequence: 'retry' | 'wait' | 'never';
  /** 1 a bug; 3 committed in part; 75 transient; 64–74 and 76–78 permanent (sysexits.h where one fits). */
  readonly exitCode: number;
  readonly meaning: string;
  readonly remedy: string;
}

export const failureReasons = {
  Internal: {
    consequence: 'never',
    exitCode: 1,
    meaning: 'The program met something it does not know: a bug.',
    remedy: 'Report it with the log of the pod.',
  },
  TaskInvalid: {
    consequence: 'never',
    exitCode: 64,
    meaning: 'The task of the runner cannot be read, or is of a version that this image does not know.',
    remedy: 'Let controller and runner come from the same image.',
  },
  Aborted: {
    consequence: 'retry',
    exitCode: 75,
    meaning: 'The run was asked to stop (SIGTERM) before it was done; nothing half-written was left.',
    remedy: 'Nothing, if the node was drained: the Job tries again within its retries.',
  },
  DeadlineExceeded: {
    consequence: 'never',
    exitCode: 76,
    meaning: 'The run did not finish within deadlineSeconds.',
    remedy: 'Raise runner.deadlineSeconds.',
  },
  SecretMissing: {
    consequence: 'wait',
    exitCode: 78,
    meaning: 'A Secret, or a key in it, that the policy or location names did not appear within two minutes.',
    remedy: 'Create the Secret with the named key in the namespace of the object that names it.',
  },
  SecretInvalid: {
    consequence: 'wait',
    exitCode: 78,
    meaning:
      'A key of a Secret is there but cannot be used: an empty value, UTF-16, a private key that cannot be read, a URI of another scheme or with a raw @ or / in its password.',
    remedy: 'Correct the value that the message names.',
  },
  RecipientInvalid: {
    consequence: 'wait',
    exitCode: 78,
    meaning:
      'A recipient of encryption cannot be used: its public key, key or passphrase is none, or it is there twice.',
    remedy: 'Correct what the message names; pgbackup keygen makes keys.',
  },
  IdentityMissing: {
    consequence: 'wait',
    exitCode: 77,
    meaning:
      'The backup is encrypted, and none of the identities given opens it; the message has the names of its recipients.',
    remedy: 'Give the private key, key or passphrase of one of the recipients that the message names.',
  },
  IdentityInvalid: {
    consequence: 'wait',
    exitCode: 78,
    meaning: 'An identity (private key, key, passphrase) that should open a backup cannot be read.',
    remedy: 'Correct what the message names.',
  },
  KeyDamaged: {
    consequence: 'never',
    exitCode: 65,
    meaning: 'The key file of an encrypted backup was changed, cut, or belongs to another backup.',
    remedy: 'Restore from another copy of the backup, or another backup.',
  },
  SigningKeyInvalid: {
    consequence: 'wait',
    exitCode: 78,
    meaning:
      'The key that signs manifests, or a public key that they are checked with, is no Ed25519 key that can be read.',
    remedy: 'Correct what the message names; pgbackup keygen --signing makes a pair.',
  },
  SignatureMissing: {
    consequence: 'never',
    exitCode: 65,
    meaning: 'Public keys for signatures are given, and the manifest has no signature, or it is not there.',
    remedy:
      'Restore from another copy or backup. Was it made before manifests were signed, leave out the keys for this restore and location.',
  },
  SignatureInvalid: {
    consequence: 'never',
    exitCode: 65,
    meaning: 'The manifest was changed or forged, or signed by a key that is none of the public keys given.',
    remedy:
      'Restore from another copy or backup, and find out who writes to the place; after a change of keys give the old public key, too.',
  },
  KmsKeyMissing: {
    consequence: 'wait',
    exitCode: 78,
    meaning: 'AWS KMS knows no such key or alias in the region that was asked.',
    remedy: 'Correct kms.keyId or kms.region; a key of another account is named by its ARN.',
  },
  KmsKeyDisabled: {
    consequence: 'wait',
    exitCode: 78,
    meaning: 'A key of AWS KMS is disabled, waits for its deletion, or has no key material.',
    remedy: 'Enable the key, or cancel its deletion: what is encrypted for it alone is lost with it.',
  },
  KmsDenied: {
    consequence: 'wait',
    exitCode: 77,
    meaning:
      'AWS KMS refused the credentials, or they may not use the key: kms:Encrypt to back up, kms:Decrypt to restore.',
    remedy: 'Correct the credentials or the role of the service account, and the policies of role and key.',
  },
  KmsThrottled: {
    consequence: 'retry',
    exitCode: 75,
    meaning: 'AWS KMS went on saying that it is asked too much.',
    remedy: 'Nothing, if it passes: the run tries again within its retries. Else raise the quota of the account.',
  },
  KmsUnreachable: {
    consequence: 'retry',
    exitCode: 75,
    meaning: 'AWS KMS did not answer in time, or failed by itself.',
    remedy: 'Check kms.endpoint, network policies and the proxy; the run tries again within its retries.',
  },
  KmsConfigInvalid: {
    consequence: 'wait',
    exitCode: 78,
    meaning:
      'AWS KMS does not take what it was asked: a key that does not encrypt, another region, or what answers is no AWS KMS.',
    remedy: 'Correct kms.keyId, kms.region or kms.endpoint.',
  },
  ServerUnreachable: {
    consequence: 'retry',
    exitCode: 75,
    meaning: 'The PostgreSQL server did not answer within the time the run waits for it.',
    remedy: 'Check host, port, network policies and that the server runs.',
  },
  ConnectionLost: {
    consequence: 'retry',
    exitCode: 75,
    meaning: 'The connection to PostgreSQL ended in the middle of the work (restart, terminated backend, network).',
    remedy: 'Nothing, if it was a restart: the Job tries again within its retries.',
  },
  AuthenticationFailed: {
    consequence: 'wait',
    exitCode: 77,
    meaning:
      'PostgreSQL, or a pooler in front of it, refused the login: user or password, or pg_hba.conf has no entry for the runner.',
    remedy: 'Correct the credentials in the Secret, pg_hba.conf, or what the pooler knows of users and databases.',
  },
  PermissionDenied: {
    consequence: 'wait',
    exitCode: 77,
    meaning: 'The database user may not read, or in a restore not create, something that was asked for.',
    remedy: 'Give the user the right that the message names.',
  },
  TransactionPooling: {
    consequence: 'wait',
    exitCode: 78,
    meaning:
      'A pooler is between us and PostgreSQL that gives each transaction (or statement) another session of the server: a dump through it would leave its settings to applications.',
    remedy:
      'Connect to the server itself, or to a pool with session pooling (PgBouncer: pool_mode = session, also for one database or user).',
  },
  DatabaseClosed: {
    consequence: 'wait',
    exitCode: 77,
    meaning:
      'The database is on the server but lets nobody in: ALLOW_CONNECTIONS is false, a DROP DATABASE of it was interrupted, or its CONNECTION LIMIT is 0.',
    remedy:
      'Open it (ALTER DATABASE … WITH ALLOW_CONNECTIONS true), drop it, or leave it out (source.postgres.databases.exclude).',
  },
  RecoveryConflict: {
    consequence: 'retry',
    exitCode: 75,
    meaning: 'A standby ended our query because it kept changes of the primary from being applied.',
    remedy:
      'Raise max_standby_streaming_delay, or set hot_standby_feedback = on, on the standby; or back up the primary.',
  },
  DatabaseMissing: {
    consequence: 'wait',
    exitCode: 66,
    meaning: 'A database that is to be connected to is not on the server, or a pooler has no way to it.',
    remedy: 'Create it, take its name out of source.postgres.databases.names, or let the pooler know it.',
  },
  NoDatabases: {
    consequence: 'wait',
    exitCode: 66,
    meaning: 'No database is left after the excludes.',
    remedy: 'Check source.postgres.databases; providers’ own databases are always excluded.',
  },
  SelectionEmpty: {
    consequence: 'wait',
    exitCode: 66,
    meaning:
      'A pattern in dump.schemas or dump.tables matches nothing (names are strict, so that a typing error is no empty backup).',
    remedy: 'Correct the pattern that the message names.',
  },
  LockTimeout: {
    consequence: 'retry',
    exitCode: 75,
    meaning: 'A table could not be locked for reading within dump.lockTimeoutSeconds.',
    remedy: 'End what holds the lock, or try again when nobody works on the tables.',
  },
  QueryCanceled: {
    consequence: 'retry',
    exitCode: 75,
    meaning: 'Somebody, or the provider of the server, cancelled a query of ours (pg_cancel_backend).',
    remedy:
      'Find out who cancels long queries and except the role of the backup; the run tries again within its retries.',
  },
  LockTableFull: {
    consequence: 'retry',
    exitCode: 75,
    meaning: 'The server has no room for more locks (out of shared memory): a dump or restore locks every table.',
    remedy: 'Raise max_locks_per_transaction of the server and restart it.',
  },
  DatabaseCorrupted: {
    consequence: 'wait',
    exitCode: 65,
    meaning: 'The server cannot read its own data: a damaged page, a lost file, a value that is not whole.',
    remedy:
      'Keep older backups. Leave the rows of the named table out (dump.excludeTableData), so that the rest is saved, and mend the server.',
  },
  TlsFailed: {
    consequence: 'wait',
    exitCode: 78,
    meaning:
      'TLS could not be set up or verified: unknown authority, wrong host name, expired certificate, or the server offers no TLS.',
    remedy: 'Give the right certificate authority (ca), or correct host name or certificate of the server.',
  },
  ProgramMissing: {
    consequence: 'wait',
    exitCode: 78,
    meaning: 'The image has no PostgreSQL client programs of the server’s major version or a newer one.',
    remedy: 'Use an image with client programs for that version.',
  },
  DumpFailed: {
    consequence: 'retry',
    exitCode: 75,
    meaning: 'pg_dump or pg_dumpall ended with an error of no better-known kind, or was killed.',
    remedy: 'Read the first error line in the message, and the log of the pod.',
  },
  DumpEmpty: {
    consequence: 'retry',
    exitCode: 75,
    meaning: 'pg_dump ended well but wrote nothing that is an archive.',
    remedy: 'Report it with the log of the pod; nothing was stored.',
  },
  DiskFull: {
    consequence: 'wait',
    exitCode: 73,
    meaning: 'No space is left on the server, the scratch volume or the store.',
    remedy: 'Make room.',
  },
  StorageUnreachable: {
    consequence: 'retry',
    exitCode: 75,
    meaning: 'The store does not answer: name not found, connection refused, reset or timed out.',
    remedy: 'Check endpoint or host, port and network policies.',
  },
  StorageTooSlow: {
    consequence: 'retry',
    exitCode: 75,
    meaning: 'A best-effort place took bytes so slowly that the run would have missed its deadline; it was left out.',
    remedy: 'Raise runner.deadlineSeconds, or give the place a policy of its own.',
  },
  StorageFailed: {
    consequence: 'retry',
    exitCode: 75,
    meaning: 'The store answered with an error of its own (5xx, SFTP failure).',
    remedy: 'Look at the store; the run tries again within its retries.',
  },
  StorageThrottled: {
    consequence: 'retry',
    exitCode: 75,
    meaning: 'The store went on saying for minutes that it has too much to do (503 SlowDown, 429).',
    remedy:
      'Let backups run at another time, or raise the limits of the store; the run tries again within its retries.',
  },
  StorageDenied: {
    consequence: 'wait',
    exitCode: 77,
    meaning: 'The store knows the credentials but does not allow what was asked for.',
    remedy: 'Give the user of the location the rights that docs/locations.md names for its kind.',
  },
  StorageCredentialsInvalid: {
    consequence: 'wait',
    exitCode: 77,
    meaning: 'The store refuses the credentials: unknown key, wrong secret, wrong password, or expired.',
    remedy: 'Correct the Secret that the location names.',
  },
  StorageMissing: {
    consequence: 'wait',
    exitCode: 66,
    meaning: 'The bucket, or the path on the SFTP server or volume, does not exist.',
    remedy: 'Create it, or correct the location.',
  },
  StorageFull: {
    consequence: 'wait',
    exitCode: 73,
    meaning: 'The store has no room left, or a quota is used up.',
    remedy: 'Make room or raise the quota.',
  },
  StorageConfigInvalid: {
    consequence: 'wait',
    exitCode: 78,
    meaning:
      'The store refuses the way it is addressed: wrong region, endpoint that is no S3 server, unsupported option.',
    remedy: 'Correct what the message names in the location.',
  },
  HostKeyMismatch: {
    consequence: 'wait',
    exitCode: 77,
    meaning: 'The SFTP server shows a host key that is not among hostKeys: another server, or somebody in between.',
    remedy: 'Find out why it changed; if rightly so, put the new key into sftp.hostKeys.',
  },
  StoredBytesDiffer: {
    consequence: 'retry',
    exitCode: 75,
    meaning: 'The store acknowledged other bytes than were sent.',
    remedy: 'Do not trust this store until its cause is known; nothing of this attempt is kept.',
  },
  ObjectMissing: {
    consequence: 'never',
    exitCode: 66,
    meaning: 'An object that should be in the store is not there.',
    remedy: 'Look for another copy of the backup.',
  },
  AlreadyStored: {
    consequence: 'never',
    exitCode: 73,
    meaning: 'Under this backup’s id something else is already stored (another uid); it is never written over.',
    remedy: 'Create the Backup under another name, or give the policy a location prefix of its own.',
  },
  BackupDamaged: {
    consequence: 'never',
    exitCode: 65,
    meaning: 'Stored bytes of a backup cannot be read: cut short, changed, or not of the format that was announced.',
    remedy: 'Look for another copy of the backup, and for what damaged this one.',
  },
  ManifestInvalid: {
    consequence: 'never',
    exitCode: 65,
    meaning: 'A manifest cannot be read: damaged, of a newer format, or not where its content says.',
    remedy: 'Use a newer pgbackup, or look at the object that the message names.',
  },
  DestinationFailed: {
    consequence: 'never',
    exitCode: 3,
    meaning: 'A required destination did not get the backup; others did.',
    remedy: 'See the destination’s own reason in status.destinations.',
  },
  DatabaseFailed: {
    consequence: 'never',
    exitCode: 3,
    meaning: 'Some databases could not be dumped; the others are stored.',
    remedy: 'See the databases’ own reasons in status.databases.failed.',
  },
  BackupMissing: {
    consequence: 'wait',
    exitCode: 66,
    meaning:
      'No backup is what was asked for: none of that name, none that old, none that holds the database; or the location has no manifest under the key of an import.',
    remedy:
      'Choose one that is there: `kubectl get pgb`, or `pgbackup local restore --list`. An import succeeds by itself when an inspection finds its manifest.',
  },
  BackupNotUsable: {
    consequence: 'never',
    exitCode: 66,
    meaning: 'The backup exists but was never committed, is damaged, or is at none of the wanted places.',
    remedy: 'Choose another backup, or another location.',
  },
  FileMissing: {
    consequence: 'retry',
    exitCode: 75,
    meaning: 'No file in the location has the key, or matches the pattern.',
    remedy: 'Look at `pgbackup local restore --list`; correct key or pattern, or wait until the file is there.',
  },
  FileIncomplete: {
    consequence: 'retry',
    exitCode: 75,
    meaning: 'The file still grows or changes: size or time differ between two looks.',
    remedy: 'Nothing, if the upload goes on: the restore tries again. Better upload under another name and rename.',
  },
  FileAmbiguous: {
    consequence: 'never',
    exitCode: 65,
    meaning: 'The ZIP holds several files that could be meant, or the script several databases.',
    remedy: 'Say which one: source.file.member, or source.database.',
  },
  FileUnknown: {
    consequence: 'never',
    exitCode: 65,
    meaning: 'The content of the file is none that can be restored.',
    remedy:
      'pg_dump in any format, pg_dumpall and SQL can be, plain or in ZIP, gzip, zstd or tar. Unpack others first.',
  },
  FileEncrypted: {
    consequence: 'never',
    exitCode: 65,
    meaning: 'The file is encrypted in a way that is not ours.',
    remedy: 'Decrypt it first.',
  },
  FileDamaged: {
    consequence: 'never',
    exitCode: 65,
    meaning: 'The file is cut short or changed: it contradicts itself.',
    remedy: 'Upload it again, or take another one.',
  },
  FileRefused: {
    consequence: 'never',
    exitCode: 65,
    meaning:
      'The file could do harm (paths that lead outside, or far more content than its size admits), or it is what a run of another namespace stored.',
    remedy: 'Find out who made it; of another namespace: restore it there, or set source.file.foreign: true.',
  },
  SqlRefused: {
    consequence: 'never',
    exitCode: 65,
    meaning:
      'A plain SQL file has what is for psql and not for the server (a backslash command), or what cannot be loaded: an encoding in which a backslash is half a character, a statement above 256 MiB, a COPY that sends rows, the end of a transaction in mode InPlace.',
    remedy: 'Make the dump with pg_dump, or take out what the message names.',
  },
  TargetExists: {
    consequence: 'wait',
    exitCode: 73,
    meaning: 'Mode Create, and a database of that name is there.',
    remedy: 'Choose another name, drop the database, or use mode Replace.',
  },
  TargetMissing: {
    consequence: 'wait',
    exitCode: 66,
    meaning: 'The database to restore into does not exist (mode InPlace).',
    remedy: 'Create it, or use mode Create.',
  },
  TargetBusy: {
    consequence: 'retry',
    exitCode: 75,
    meaning: 'Another restore works on the same database, or connections to it could not be ended.',
    remedy: 'Wait for the other restore; the Job tries again.',
  },
  ObjectConflict: {
    consequence: 'never',
    exitCode: 73,
    meaning: 'Something that the archive creates exists already in the target.',
    remedy: 'Use mode Replace, or inPlace.clean with acknowledgeDataLoss.',
  },
  RoleMissing: {
    consequence: 'wait',
    exitCode: 66,
    meaning: 'A role that owns or is granted something does not exist on the server.',
    remedy: 'Create it, set options.globals, or options.noOwner and options.noPrivileges.',
  },
  ExtensionMissing: {
    consequence: 'wait',
    exitCode: 66,
    meaning: 'An extension that the database needs is not installed on the server.',
    remedy: 'Install it on the server, or leave out what needs it.',
  },
  TablespaceMissing: {
    consequence: 'wait',
    exitCode: 66,
    meaning: 'A tablespace in which something lay does not exist on the server.',
    remedy: 'Create it, or set options.without: [tablespaces].',
  },
  VersionUnsupported: {
    consequence: 'never',
    exitCode: 65,
    meaning:
      'The archive comes from a newer PostgreSQL, or from one that was built with more (ICU, lz4, XML), and has what this server does not know.',
    remedy: 'Restore to a server of that version or newer.',
  },
  SelectionMissing: {
    consequence: 'never',
    exitCode: 66,
    meaning: 'A schema or table that is selected is not in the archive.',
    remedy: 'Choose from those that the message names.',
  },
  RestoreFailed: {
    consequence: 'never',
    exitCode: 65,
    meaning: 'The server or pg_restore met an error of no better-known kind; the first one is in the message.',
    remedy: 'Read the message and the log of the pod.',
  },
  RestoredInPart: {
    consequence: 'never',
    exitCode: 65,
    meaning:
      'With options.onError Continue: the target holds what was restored, without what the server refused (status.databases[].refused).',
    remedy:
      'Look at what is missing before the database is used: constraints, policies or revoked rights may be among it. Make it by hand, or restore again when its cause is mended.',
  },
  CheckFailed: {
    consequence: 'never',
    exitCode: 65,
    meaning: 'The data was restored, but a check did not hold; the target is as it was.',
    remedy: 'Look at the check that the message names, and at the backup.',
  },
  SqlFailed: {
    consequence: 'never',
    exitCode: 65,
    meaning: 'A statement of beforeSql or afterSql, or the query of a check, failed.',
    remedy: 'Correct the statement that the message names.',
  },
  PolicyMissing: {
    consequence: 'wait',
    exitCode: 66,
    meaning: 'The Backup names a policy that does not exist.',
    remedy: 'Create the policy, or name another one in a new Backup.',
  },
  LocationMissing: {
    consequence: 'wait',
    exitCode: 66,
    meaning: 'A BackupLocation that is named does not exist.',
    remedy: 'Create it, or correct the name.',
  },
  SamePlace: {
    consequence: 'wait',
    exitCode: 78,
    meaning: 'Two destinations of the policy are one place under two names: what was stored twice would be one copy.',
    remedy: 'Point one of the two locations somewhere else, or take one out of the policy.',
  },
  EncryptionRequired: {
    consequence: 'wait',
    exitCode: 78,
    meaning: 'A destination is a location with encryption Required, and the policy does not encrypt.',
    remedy:
      'Give the policy encryption.recipients, choose another location, or set encryption of the location to Optional.',
  },
  SigningRequired: {
    consequence: 'wait',
    exitCode: 78,
    meaning: 'A destination is a location with signatures, and the policy does not sign.',
    remedy: 'Give the policy signing.key, choose another location, or take signatures out of the location.',
  },
  LocationReadOnly: {
    consequence: 'wait',
    exitCode: 78,
    meaning: 'A destination is a location with accessMode ReadOnly.',
    remedy: 'Choose another location, or set accessMode to ReadWrite or AppendOnly.',
  },
  NewerBackupThere: {
    consequence: 'wait',
    exitCode: 65,
    meaning:
      'Nothing was removed by retention: the location holds a backup of the policy that is newer than those the controller knew, or may be.',
    remedy:
      'Let the location be inspected (pgbackup.dev/probe-requested-at); if another cluster stores under the same namespace and policy there, give each a prefix of its own.',
  },
  NewestBackupMissing: {
    consequence: 'wait',
    exitCode: 66,
    meaning:
      'Nothing was removed by retention: the newest backup of the policy is not in the location, or another one stands in its place.',
    remedy:
      'Find out who deletes or writes there, and let the location be inspected (pgbackup.dev/probe-requested-at).',
  },
  StoredAhead: {
    consequence: 'wait',
    exitCode: 65,
    meaning:
      'Nothing was removed by retention: the newest backup says that it was made more than a day after the location took it, so that a clock was wrong and nobody knows what is new and what is old.',
    remedy:
      'Correct the clocks of nodes and store; a new backup puts it right. Delete backups that say they are of the future by hand.',
  },
  LastGoodCopy: {
    consequence: 'wait',
    exitCode: 65,
    meaning:
      'A backup was not removed by retention: it stores a database (or the globals) that no newer backup which was looked at holds there whole.',
    remedy:
      'Nothing, if a new backup follows. If the database is gone for good, delete the Backup object and its data by hand.',
  },
  OtherBackupThere: {
    consequence: 'wait',
    exitCode: 65,
    meaning:
      'A backup was left alone (not removed, not copied): under its name the location holds another one, or a manifest of other bytes than when it was stored.',
    remedy: 'Let the location be inspected (pgbackup.dev/probe-requested-at), and find out who writes there.',
  },
  PrefixShared: {
    consequence: 'wait',
    exitCode: 78,
    meaning:
      'Nothing is removed by retention: in the last 30 days another policy of this name and namespace has stored backups at the location, from another cluster or before this policy was made anew there.',
    remedy:
      'Give each cluster a location with a prefix of its own. If the other policy is gone, delete what it has stored since this one was made, or wait 30 days.',
  },
  TooManySets: {
    consequence: 'wait',
    exitCode: 65,
    meaning:
      'Nothing is removed by retention: the backups hold so many different sets of databases that it cannot be judged which of them are last copies.',
    remedy: 'Split the policy, so that each part backs up fewer databases.',
  },
  DeletionNotAllowed: {
    consequence: 'wait',
    exitCode: 78,
    meaning: 'Nothing was removed: the location has accessMode AppendOnly or ReadOnly.',
    remedy: 'Let a lifecycle rule of the store remove what is old, or set accessMode to ReadWrite.',
  },
  DeletionHeld: {
    consequence: 'wait',
    exitCode: 77,
    meaning: 'A backup was not removed yet: an object lock, a retention period or a legal hold of the store keeps it.',
    remedy: 'Nothing: it goes when the lock has ended. If it never should, look at the rules of the bucket.',
  },
  SpecInvalid: {
    consequence: 'wait',
    exitCode: 78,
    meaning: 'The object has fields that the schema of this version does not accept.',
    remedy: 'Correct what the message names.',
  },
  ScheduleInvalid: {
    consequence: 'wait',
    exitCode: 78,
    meaning: 'The schedule or the time zone cannot be understood, or no time matches it.',
    remedy: 'Five fields or a macro such as @daily; a time zone of the IANA database such as Europe/Berlin.',
  },
  NameTaken: {
    consequence: 'wait',
    exitCode: 73,
    meaning: 'An object of the wanted name exists and belongs to something else.',
    remedy: 'Rename or remove the other object.',
  },
  ClaimRequired: {
    consequence: 'wait',
    exitCode: 78,
    meaning: 'A directory location in a cluster needs a volume: directory.claimName is not set.',
    remedy: 'Name a PersistentVolumeClaim in directory.claimName.',
  },
  ImageUnavailable: {
    consequence: 'wait',
    exitCode: 78,
    meaning: 'The image of the runner cannot be pulled.',
    remedy: 'Check image name and pull secrets.',
  },
  PodRefused: {
    consequence: 'wait',
    exitCode: 77,
    meaning: 'The API server refuses to create the runner’s pod: quota, LimitRange, Pod Security or another admission.',
    remedy:
      'Read the message; adapt runner.resources (`{}` leaves requests and limits to the LimitRange) or the namespace’s limits.',
  },
  PodUnschedulable: {
    consequence: 'wait',
    exitCode: 75,
    meaning: 'No node has room for the runner’s pod, or none matches its constraints.',
    remedy: 'Adapt runner.resources, nodeSelector or tolerations, or add a node.',
  },
  PodNotStarting: {
    consequence: 'wait',
    exitCode: 78,
    meaning: 'The runner’s container cannot be created or started (volume, claim, runtime).',
    remedy: 'Read the message and the pod’s events.',
  },
  OutOfMemory: {
    consequence: 'retry',
    exitCode: 75,
    meaning: 'The runner was killed because it used more memory than its limit.',
    remedy: 'Raise runner.resources.limits.memory.',
  },
  PodEvicted: {
    consequence: 'retry',
    exitCode: 75,
    meaning: 'The runner’s pod was evicted, preempted or its node was lost.',
    remedy: 'Nothing: the Job tries again within its retries.',
  },
  RunnerKilled: {
    consequence: 'retry',
    exitCode: 75,
    meaning: 'The runner ended without a verdict: killed, or crashed.',
    remedy: 'Read the log of the pod and the events of its node.',
  },
  JobDeleted: {
    consequence: 'never',
    exitCode: 75,
    meaning: 'Somebody deleted the Job of a run before its answer was taken.',
    remedy: 'Create a new Backup or RestoreRequest.',
  },
} as const satisfies Record<string, FailureReasonEntry>;

export type FailureReason = keyof typeof failureReasons;
export const failureReasonNames = Object.keys(failureReasons) as [FailureReason, ...FailureReason[]];

/** Reasons of conditions and events that are no failures. */
export const stateReasons = {
  Succeeded: 'The run did all that was asked for.',
  BestEffortFailed:
    'The run succeeded; a destination with required: false did not get its copy (status.destinations says why).',
  Imported: 'The backup was found in a location; it was not made by this object.',
  Queued:
    'The run waits for its turn: until fewer backups or restores are going on (in all, of this namespace, or of this server), or another restore to the same database has ended.',
  Starting: 'The Job is made; its pod has not said anything yet.',
  WaitingForSecret: 'The runner waits for a key of a Secret to appear.',
  WaitingForServer: 'The runner waits for the PostgreSQL server to answer.',
  Running: 'The runner works.',
  PolicyReady: 'The policy can run.',
  Suspended: 'The policy is suspended: nothing is scheduled, manual backups still run.',
  NoRunYet: 'No run of this policy has ended yet.',
  LastRunSucceeded: 'The last run succeeded, no slot is overdue, and no run is stuck.',
  LastRunFailed: 'The last run did not succeed.',
  SuspendedLong: 'The policy is suspended, and its last good run is more than seven days old.',
  Overdue: 'A slot passed its starting deadline and the run’s deadline, and no run of it has ended.',
  RunStuck:
    'A run has not been able to start for two minutes: its pod is refused, cannot be scheduled, or does not start.',
  RunCreated: 'A run was created for a slot.',
  RunSkipped:
    'A slot was skipped and is counted as missed: an earlier run went on until it was too late, or the next slot came (concurrencyPolicy Forbid).',
  RunReplaced: 'The previous run was ended for a newer one (concurrencyPolicy Replace).',
  SlotsMissed: 'Slots passed while nobody could start them; only the latest one runs.',
  SlotTooLate: 'A slot was not started within startingDeadlineSeconds and is skipped.',
  ClockOff:
    'The clock of the controller differs from the API server’s by more than ten seconds; the server’s time counts until it is right again.',
  JobCreated: 'The Job of a run was created.',
  RunStarted: 'The runner of a run has begun.',
  RunRetried: 'A try of a run failed for a reason that may pass, and another follows.',
  JobRebuilt:
    'The pod of a run could not start, and what it is made from has changed, or somebody asked: its Job is built again.',
  Inspecting: 'The location is being looked at for the first time.',
  ProbePassed: 'Keys were written, also only if absent and in parts, read back, listed and deleted.',
  AppendProbePassed: 'The location is AppendOnly; keys were written, read back and listed, and nothing was deleted.',
  ReadProbePassed: 'The location is ReadOnly and could be listed and read.',
  WaitingForStorage: 'The runner waits for the store, or for a file to be there whole.',
  Fetching: 'The runner fetches the archive to its scratch volume.',
  Restored: 'What was asked for was restored, checked, and put in its place.',
  Unchanged: 'The source is still the one that was restored last; nothing was done.',
  RecoveredAfterSwap:
    'The runner died after the swap, or after the commit in place; the target holds what was restored, and what was left was cleared up.',
  CleaningUp: 'The runner died; a Job clears up what it left.',
  CleanupFailed: 'What a dead runner left could not be cleared up.',
  RestoreCreated: 'A RestoreRequest was created for a slot.',
  RestoreRetried: 'Another RestoreRequest was created, because the last one failed for a transient reason.',
  KeptForGit:
    'A request with ttlSecondsAfterFinished was applied by Argo CD or Flux, which would make it again, and so restore again: it is not deleted.',
  BackupFound: 'A backup was found in a location and is shown as an object.',
  BackupVanished: 'The data of backups is no longer in a location that held it; their objects say Missing.',
  RepairWaits: 'What a destination lacks is decided after the first success, and when it was inspected to its end.',
  RepairDone: 'Each destination has what another one can give it.',
  Repairing: 'What a destination lacks is being copied there from another one.',
  BackupsCopied: 'Backups that a destination lacked were copied there from another one.',
  RetentionWaits: 'What stays is decided after the first success, and when the location was inspected to its end.',
  RetentionDone: 'What no rule of retention keeps is gone.',
  Removing: 'What no rule of retention keeps is being removed.',
  DryRun: 'The retention of the policy has dryRun: its status says what would go, and nothing does.',
  BackupsRemoved: 'Backups that no rule of retention keeps were removed from a location.',
  BackupDeleted: 'A Backup with deletionPolicy Delete was deleted, and its data with it.',
  DataLeft:
    'A Backup with deletionPolicy Delete was deleted, and data of it stays behind; the message says where and why.',
  ProgramsCurrent: 'pg_dump is as new as the server.',
  ...noteReasons,
} as const satisfies Record<string, string>;

export type StateReason = keyof typeof stateReasons;
export type Reason = FailureReason | StateReason;

export function isFailureReason(word: string): word is FailureReason {
  return Object.hasOwn(failureReasons, word);
}
