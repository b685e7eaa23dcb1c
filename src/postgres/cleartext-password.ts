import type { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import type { Client } from 'pg';
import { Failure } from '../api/failure.ts';

/** What pg has inside. */
interface Inside {
  readonly connection: EventEmitter & { readonly stream: Socket; password(text: string): void };
}

/** Ends a login whose server asks for the password itself, before it is sent: the connection fails with AuthenticationFailed. */
export function refuseCleartext(client: Client): void {
  const { connection } = client as unknown as Inside;
  connection.once('authenticationCleartextPassword', () => {
    // pg answers right after us.
    connection.password = () => undefined;
    const failure = new Failure(
      'AuthenticationFailed',
      'the server asks for the password in clear text, on a connection without TLS: it was not sent',
      {
        hint: 'Use TLS (tls.mode), or let pg_hba.conf ask for scram-sha-256; where everybody on the way may read the password: tls.allowCleartextPassword: true.',
      },
    );
    connection.emit('error', failure);
    connection.stream.destroy();
  });
}
