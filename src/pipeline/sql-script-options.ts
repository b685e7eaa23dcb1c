export interface SqlScriptOptions {
  /** whole: a script for one database. Of one of pg_dumpall: what stands before the first database, one database, or nothing. */
  readonly part: 'whole' | 'globals' | 'nothing' | { readonly database: string };
  /** All of it will run in one transaction of ours: those of the script are left out. */
  readonly oneTransaction: boolean;
  /** Of a pg_restore of ours: nothing but transactions is left out, and it is whole only with its last line. */
  readonly ofOurOwn?: boolean;
  /** Nothing but transactions is left out. */
  readonly takesAll?: boolean;
}
