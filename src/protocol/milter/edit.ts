/**
 * What a filter wants to have done to a message, when it has seen all of it.
 *
 * Positions count from 1. `space` stands between the colon and the value of a header. Values of headers are cleaned: their lines are
 * separated by LF alone and no other CR is left, whatever the filter sent, so that they cannot become more than a header.
 */
import { headerNameLength } from '../../message/header.ts';
import { answer } from './codes.ts';
import { Fields } from './packet.ts';

export type Edit =
  | { readonly kind: 'add-header'; readonly name: string; readonly space: string; readonly value: string }
  | { readonly kind: 'insert-header' | 'change-header'; readonly index: number; readonly name: string; readonly space: string; readonly value: string }
  | { readonly kind: 'delete-header'; readonly index: number; readonly name: string }
  | { readonly kind: 'change-sender' | 'add-recipient'; readonly address: string; readonly parameters: string }
  | { readonly kind: 'delete-recipient'; readonly address: string }
  /** A piece of the new body, CR LF at the end of lines, cut anywhere. */
  | { readonly kind: 'body'; readonly bytes: Buffer }
  | { readonly kind: 'end-of-body' };

/** `talk`: the packet is not well made; `setup`: what it asks for makes no sense. */
export type EditTrouble = { readonly trouble: string; readonly of: 'talk' | 'setup' };

type Read = (fields: Fields, space: string) => Edit | EditTrouble;

const largestIndex = 0x7fff_ffff;
const talk = (trouble: string): EditTrouble => ({ trouble, of: 'talk' });
const setup = (trouble: string): EditTrouble => ({ trouble, of: 'setup' });

function cleanValue(value: string): string {
  return value.includes('\r') ? value.replaceAll('\r\n', '\n').replaceAll('\r', ' ') : value;
}

const isName = (name: string): boolean => name.length > 0 && headerNameLength(`${name}:`) === name.length;

function changeHeader(fields: Fields, space: string): Edit | EditTrouble {
  const index = fields.number32();
  const name = fields.text();
  const value = fields.text();
  fields.end();
  if (fields.trouble !== undefined) return talk(fields.trouble);
  if (index > largestIndex) return setup(`bad change header index: ${index}`);
  if (name === '') return setup('null change header name');
  if (!isName(name)) return setup(`bad change header name: ${name.slice(0, 100)}`);
  const at = Math.max(index, 1);
  return value === '' ? { kind: 'delete-header', index: at, name } : { kind: 'change-header', index: at, name, space, value: cleanValue(value) };
}

function addHeader(fields: Fields, space: string): Edit | EditTrouble {
  const name = fields.text();
  const value = fields.text();
  fields.end();
  if (fields.trouble !== undefined) return talk(fields.trouble);
  return isName(name) ? { kind: 'add-header', name, space, value: cleanValue(value) } : setup(`bad add header name: ${name.slice(0, 100)}`);
}

/** The filter counts from 0, and our own Received: header counts. */
function insertHeader(fields: Fields, space: string): Edit | EditTrouble {
  const index = fields.number32();
  const name = fields.text();
  const value = fields.text();
  fields.end();
  if (fields.trouble !== undefined) return talk(fields.trouble);
  if (index >= largestIndex) return setup(`bad insert header index: ${index}`);
  if (!isName(name)) return setup(`bad insert header name: ${name.slice(0, 100)}`);
  return { kind: 'insert-header', index: index + 1, name, space, value: cleanValue(value) };
}

const addressed = (kind: 'change-sender' | 'add-recipient', takesParameters: boolean): Read => (fields) => {
  const address = fields.text();
  const parameters = takesParameters && fields.left > 0 ? fields.text() : '';
  fields.end();
  return fields.trouble === undefined ? { kind, address, parameters } : talk(fields.trouble);
};

function deleteRecipient(fields: Fields): Edit | EditTrouble {
  const address = fields.text();
  fields.end();
  return fields.trouble === undefined ? { kind: 'delete-recipient', address } : talk(fields.trouble);
}

const reads: ReadonlyMap<string, Read> = new Map<string, Read>([
  [answer.changeHeader, changeHeader],
  [answer.addHeader, addHeader],
  [answer.insertHeader, insertHeader],
  [answer.changeSender, addressed('change-sender', true)],
  [answer.addRecipient, addressed('add-recipient', false)],
  [answer.addRecipientWithArguments, addressed('add-recipient', true)],
  [answer.deleteRecipient, deleteRecipient],
]);

/** The edit that a packet asks for; undefined: it asks for none. New bodies come by another road. */
export function editOf(code: string, bytes: Buffer, space: string): Edit | EditTrouble | undefined {
  return reads.get(code)?.(new Fields(bytes), space);
}
