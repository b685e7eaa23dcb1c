import { z } from 'zod';
import { rule, withRules } from './rules.ts';

/** Without a password, a query or a fragment. */
const endpointPattern = String.raw`^https?://([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:]{2,39}\])(:[0-9]{1,5})?(/[A-Za-z0-9._~+=@-]*)*$`;

/** Of an endpoint as its pattern has it: name, address, or address of IPv6 in brackets; then the port. */
const hostAndPort = /^https?:\/\/(\[[^\]]*\]|[^/:]+)(?::([0-9]+))?/;

function portIsInRange(endpoint: string): boolean {
  const port = hostAndPort.exec(endpoint)?.[2];
  return port === undefined || (Number(port) >= 1 && Number(port) <= 65_535);
}

/** A host of digits and dots is read as an address: it must be a whole one. */
function addressIsWhole(endpoint: string): boolean {
  const host = hostAndPort.exec(endpoint)?.[1] ?? '';
  if (host.startsWith('[')) return z.ipv6().safeParse(host.slice(1, -1)).success;
  return !/^[0-9.]+$/.test(host) || z.ipv4().safeParse(host).success;
}

/** URL of a server that speaks as one of AWS; without a password, a query or a fragment. */
export const httpEndpoint = () =>
  withRules(
    z.string().min(8).max(512),
    rule<string>(
      "self.matches('^https?://')",
      (self) => /^https?:\/\//.test(self),
      'must begin with http:// or https://, such as http://minio:9000 or https://s3.example.com',
    ),
    rule<string>(
      "!isURL(self) || url(self).getPort() == '' || (int(url(self).getPort()) >= 1 && int(url(self).getPort()) <= 65535)",
      portIsInRange,
      'the port must be 1–65535',
    ),
    rule<string>(
      `!self.matches('^https?://') || (self.matches(r'${endpointPattern}') && (self.contains('[') ? isIP(self.split(']')[0].split('[')[1]) : !self.matches('^https?://[0-9.]+(:|/|$)') || isIP(self.split('/')[2].split(':')[0])))`,
      (self) => !/^https?:\/\//.test(self) || (new RegExp(endpointPattern).test(self) && addressIsWhole(self)),
      'must be a URL such as https://s3.example.com, http://192.0.2.1:9000 or http://[2001:db8::1]:9000',
    ),
  );

export const awsRegion = () =>
  z
    .string()
    .min(1)
    .max(64)
    .regex(/^[a-z0-9-]+$/);
