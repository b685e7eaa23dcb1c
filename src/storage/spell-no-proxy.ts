import { isIP, isIPv4 } from 'node:net';

/**
 * NO_PROXY as Node reads it, of what other programs (curl, Go, and so most clusters) write there: a name means its subdomains, too, and
 * networks are written as 10.0.0.0/8.
 */
export function spellNoProxy(list: string): string {
  return list
    .split(/[\s,]+/)
    .filter((entry) => entry !== '')
    .flatMap((entry) => [entry, ...alsoMeant(entry)])
    .join(',');
}

function alsoMeant(entry: string): readonly string[] {
  const [address = '', width] = entry.split('/');
  if (width !== undefined) return isIPv4(address) && /^\d{1,2}$/.test(width) ? [rangeOf(address, Number(width))] : [];
  const isName = /^[A-Za-z0-9]/.test(entry) && !entry.includes(':') && isIP(entry) === 0;
  return isName ? [`.${entry}`] : [];
}

/** `10.0.0.0-10.255.255.255` */
function rangeOf(address: string, width: number): string {
  const number = address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
  const size = 2 ** (32 - Math.min(width, 32));
  const first = number - (number % size);
  return `${dotted(first)}-${dotted(first + size - 1)}`;
}

function dotted(number: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(number / 2 ** shift) % 256).join('.');
}
