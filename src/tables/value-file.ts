/**
 * Tables whose values are files (`postmap -F`): the source names files, the index holds their contents in base64.
 */
import { readFileSync } from 'node:fs';
import { splitList } from '../text/ascii.ts';
import { errorText } from '../host/libc.ts';

/** Contents of the named files, a newline between two, in base64. Throws an Error with the trouble. */
export function encodeFiles(value: string): string {
  const names = splitList(value);
  if (names.length === 0) throw new Error('empty pathname list: >>' + value + '<<\'');
  const parts = names.map((name) => {
    try {
      return readFileSync(Buffer.from(name, 'latin1'));
    } catch (error) {
      throw new Error(`open ${name}: ${errorText(error)}`);
    }
  });
  return Buffer.concat(parts.flatMap((part, at) => (at === 0 ? [part] : [Buffer.from('\n'), part]))).toString('base64');
}

/** The contents behind a value; throws an Error when it is not base64. */
export function decodeFiles(value: string): string {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(value) || value.length % 4 !== 0 || value === '') throw new Error('malformed BASE64 value: ' + value.slice(0, 30));
  return Buffer.from(value, 'base64').toString('latin1');
}
