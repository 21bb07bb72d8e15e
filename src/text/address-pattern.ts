/**
 * Patterns for the answers of DNS lists: `127.0.0.2`, `127.0.0.[2;4..8]`, `[127.0.[0..255].10]`. postconf(5) reject_rbl_client. Pure.
 */
export type AddressPattern = (address: string) => boolean;

type FieldTest = (octet: number) => boolean;

/** Throws an Error that names the mistake. */
export function parseAddressPattern(text: string): AddressPattern {
  const pattern = unwrapped(text);
  const fields = fieldsOf(pattern).map((field) => fieldTest(field, pattern));
  if (fields.length !== 4) throw new Error(`need four address fields in "${text}"`);
  return (address) => {
    const octets = address.split('.').map(Number);
    return octets.length === 4 && fields.every((test, at) => test(octets[at]!));
  };
}

/** Brackets around the whole are for those who need to protect it. */
function unwrapped(text: string): string {
  if (text === '') throw new Error('empty address pattern');
  if (!text.startsWith('[')) return text;
  let level = 0;
  for (let at = 0; at < text.length; at++) {
    if (text[at] === '[') level++;
    else if (text[at] === ']' && --level === 0) return at === text.length - 1 ? text.slice(1, -1) : text;
  }
  throw new Error(`missing "]" character in "${text}"`);
}

/** Fields stand between dots, but `a..b` within brackets is a range. */
function fieldsOf(pattern: string): string[] {
  const fields = pattern.match(/\[[^\]]*\]|[^.[\]]+|\./g) ?? [];
  const isRegular = fields.join('') === pattern && fields.every((field, at) => (at % 2 === 1) === (field === '.'));
  if (!isRegular) throw new Error(`need four numbers or [lists] with dots between them in "${pattern}"`);
  return fields.filter((field) => field !== '.');
}

function fieldTest(field: string, pattern: string): FieldTest {
  if (!field.startsWith('[')) return ((wanted) => (octet: number) => octet === wanted)(octetOf(field, pattern));
  const ranges = field.slice(1, -1).split(';').map((item) => {
    const [low, high = low, ...more] = item.split('..');
    if (more.length > 0) throw new Error(`need ";" or "]" in "${pattern}"`);
    const range = [octetOf(low!, pattern), octetOf(high!, pattern)] as const;
    if (range[0] > range[1]) throw new Error(`numeric range error in "${pattern}"`);
    return range;
  });
  return (octet) => ranges.some(([low, high]) => octet >= low && octet <= high);
}

function octetOf(text: string, pattern: string): number {
  if (!/^[0-9]{1,3}$/.test(text) || Number(text) > 255) throw new Error(`need decimal number 0..255 in "${pattern}", not "${text}"`);
  return Number(text);
}
