import type { ProxySettings } from '../storage/place.ts';
import type { Redactor } from '../support/redaction.ts';
import type { CommandWorld } from './command-world.ts';

const names = ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY'] as const;

/** The HTTP proxy of the environment, under small letters first as other programs have it. A password in it is redacted from now on. */
export function readProxy(env: CommandWorld['env'], redactor?: Redactor): ProxySettings {
  const settings: Partial<Record<(typeof names)[number], string>> = {};
  for (const name of names) {
    const value = env[name.toLowerCase()] || env[name];
    if (value === undefined || value === '') continue;
    settings[name] = value;
    const [, password] = /^[^:]+:\/\/[^/]*?:(.*)@/.exec(value) ?? [];
    if (password !== undefined && password !== '') redactor?.add(password);
  }
  return settings;
}
