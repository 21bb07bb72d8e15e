/** Network addresses as keys: two texts for one address must compare equal. Nothing here throws. */
import { parseIpAddress, renderIpAddress } from '../text/cidr.ts';

/** The same for every spelling of an address; for IPv6 its 32 hexadecimal digits. Zone ids do not count. */
export function addressKey(address: string): string {
  return address.includes(':') ? ipv6Digits(address.replace(/%.*/, '')) : address;
}

/** `::ffff:192.0.2.1` is 192.0.2.1; a zone id says nothing to others. */
export function plainAddress(address: string): string {
  // The kernel's text of an IPv4 address has one form only.
  if (!address.includes(':')) return address;
  const mapped = /^::ffff:([0-9.]+)$/i.exec(address)?.[1];
  const bytes = mapped ?? address.replace(/%.*$/, '');
  const parsed = parseIpAddress(bytes);
  return parsed === undefined ? '' : renderIpAddress(parsed);
}

/** 32 hexadecimal digits, lower-case. */
export function ipv6Digits(address: string): string {
  const text = address.toLowerCase().replace(/[0-9]+(?:\.[0-9]+){3}$/, (quad) => {
    const [a = 0, b = 0, c = 0, d = 0] = quad.split('.').map(Number);
    return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
  });
  const [head = '', tail] = text.split('::');
  const groups = (part: string): string[] => (part === '' ? [] : part.split(':'));
  const front = groups(head);
  const back = tail === undefined ? [] : groups(tail);
  const middle = new Array<string>(Math.max(8 - front.length - back.length, 0)).fill('0');
  return [...front, ...middle, ...back].map((group) => group.padStart(4, '0')).join('');
}

