import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface Certificate {
  /** Paths of PEM files. */
  readonly certFile: string;
  readonly keyFile: string;
}

export interface Authority {
  /** PEM of the authority's own certificate. */
  readonly ca: string;
  readonly caFile: string;
  /** A server certificate for a host name or an IP address; `expired`: valid until yesterday. */
  issue(options: { readonly host: string; readonly expired?: boolean }): Promise<Certificate>;
}

/** A certificate authority of its own below `dir`, made with openssl. */
export async function makeAuthority(dir: string, name = 'test authority'): Promise<Authority> {
  await mkdir(dir, { recursive: true });
  const keyFile = join(dir, 'ca.key');
  const caFile = join(dir, 'ca.crt');
  await openssl(
    ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '7'],
    ['-subj', `/CN=${name}`, '-keyout', keyFile, '-out', caFile],
    ['-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=critical,keyCertSign,cRLSign'],
  );
  let issued = 0;
  return {
    ca: await readFile(caFile, 'utf8'),
    caFile,
    issue: async ({ host, expired = false }) => {
      issued += 1;
      const base = join(dir, `server-${issued}`);
      await openssl(
        ['req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'],
        ['-subj', `/CN=${host}`, '-keyout', `${base}.key`, '-out', `${base}.csr`],
      );
      const kind = /^[\d.]+$|:/.test(host) ? 'IP' : 'DNS';
      const extensions = `${base}.ext`;
      await writeFile(extensions, `subjectAltName=${kind}:${host}\nbasicConstraints=CA:FALSE\n`);
      // `openssl ca` can date certificates back, `openssl x509` of Debian 12 cannot.
      await writeFile(`${base}.index`, '');
      await writeFile(
        `${base}.cnf`,
        [
          '[ca]',
          'default_ca = here',
          '[here]',
          `database = ${base}.index`,
          `new_certs_dir = ${dir}`,
          'default_md = sha256',
          'policy = any',
          'rand_serial = yes',
          'unique_subject = no',
          '[any]',
          'commonName = supplied',
          '',
        ].join('\n'),
      );
      const [from, to] = expired ? ['20200101000000Z', '20200201000000Z'] : ['20200101000000Z', '20450101000000Z'];
      await openssl(
        ['ca', '-batch', '-notext', '-config', `${base}.cnf`, '-cert', caFile, '-keyfile', keyFile],
        ['-startdate', from, '-enddate', to, '-extfile', extensions],
        ['-in', `${base}.csr`, '-out', `${base}.crt`],
      );
      return { certFile: `${base}.crt`, keyFile: `${base}.key` };
    },
  };
}

async function openssl(...args: readonly (readonly string[])[]): Promise<void> {
  await run('openssl', args.flat());
}
