/**
 * Are these the names and addresses of hosts? Syntax only: nothing is looked up.
 *
 * The rules are Postfix's: an underscore is allowed in names, a name is not all digits, `0.x.x.x` is no address. Nothing throws.
 */
import { allDigits, isDigit, startsIgnoringCase } from './ascii.ts';

export const maximumLabel = 63;
export const maximumHostname = 255;

const isAlphanumeric = (code: number): boolean => isDigit(code) || ((code | 32) >= 97 && (code | 32) <= 122);

/** @param wildcard is "*" allowed as the first of several labels? */
export function validHostname(name: string, wildcard = false): boolean {
  if (name === '' || name.length > maximumHostname) return false;
  const labels = name.split('.');
  const rest = wildcard && labels.length > 1 && labels[0] === '*' ? labels.slice(1) : labels;
  return rest.every(validLabel) && (rest !== labels || !rest.every(allDigits));
}

function validLabel(label: string): boolean {
  if (label === '' || label.startsWith('-') || label.endsWith('-')) return false;
  let letters = 0;
  for (let at = 0; at < label.length; at++) {
    const code = label.charCodeAt(at);
    if (isAlphanumeric(code) || code === 95) letters++;
    else if (code !== 45) return false;
  }
  return letters > 0 && label.length <= maximumLabel;
}

/** An IPv4 or IPv6 address without brackets. */
export function validHostaddr(address: string): boolean {
  return address.includes(':') ? validIpv6(address) : validIpv4(address);
}

/** Four numbers up to 255, the first not 0 unless all are. */
export function validIpv4(address: string): boolean {
  const numbers = address.split('.');
  if (numbers.length !== 4 || !numbers.every((number) => allDigits(number) && Number(number) <= 255)) return false;
  return Number(numbers[0]) !== 0 || /^[0.]*$/.test(address);
}

/** Eight fields of up to four hex digits, or fewer with one "::"; the last two may be an IPv4 address. */
export function validIpv6(address: string): boolean {
  const dotted = address.indexOf('.');
  const end = dotted < 0 ? address.length : address.lastIndexOf(':', dotted) + 1;
  const fields = address.slice(0, end).split(':');
  const colons = fields.length - 1;
  if (dotted >= 0 && (colons < 2 || colons > 6 || dotted - end > 4 || !validIpv4(address.slice(end)))) return false;
  if (colons < 2 || colons > 7 || !fields.every((field) => /^[0-9a-fA-F]{0,4}$/.test(field))) return false;
  return emptyFieldsFit(fields, dotted >= 0);
}

// "::" makes one empty field, and one more at either end of the address.
function emptyFieldsFit(fields: readonly string[], dotted: boolean): boolean {
  const inner = fields.slice(1, -1).filter((field) => field === '').length;
  if (inner > 1) return false;
  if (fields[0] === '' && fields[1] !== '') return false;
  return dotted || fields.at(-1) !== '' || fields.at(-2) === '';
}

/** An address as it stands in an address literal, without the brackets: "192.0.2.1", "IPv6:2001:db8::1". The bare address comes back. */
export function mailhostAddress(text: string): string | undefined {
  const ipv6 = startsIgnoringCase(text, 'IPv6:');
  const bare = ipv6 ? text.slice(5) : text;
  return (ipv6 ? validIpv6(bare) : validIpv4(bare)) ? bare : undefined;
}

const maximumAddress = 46;

/** The bare address of a literal "[192.0.2.1]" or "[IPv6:2001:db8::1]" (RFC 5321 section 4.1.3). */
export function mailhostLiteral(text: string): string | undefined {
  if (!text.startsWith('[') || text.indexOf(']') !== text.length - 1 || text.length - 2 >= maximumAddress) return undefined;
  return mailhostAddress(text.slice(1, -1));
}

export function validMailhostLiteral(text: string): boolean {
  return mailhostLiteral(text) !== undefined;
}

/** The form an address takes in a literal, in logs and in Received: lines: "IPv6:" in front of an IPv6 address. */
export function mailhostForm(address: string): string {
  return address.includes(':') ? `IPv6:${address}` : address;
}

/** A port number without a leading zero. */
export function validHostport(port: string): boolean {
  return allDigits(port) && port.length <= 5 && Number(port) <= 65535 && (port === '0' || !port.startsWith('0'));
}
