/** Packets of filters for tests, written from the protocol's description and not from our own machine. */

export type Packet = readonly [code: string, data?: string];

export const text = (...fields: readonly string[]): string => fields.map((field) => `${field}\0`).join('');
export const long = (value: number): string => String.fromCharCode((value >>> 24) & 255, (value >>> 16) & 255, (value >>> 8) & 255, value & 255);

export const edit = {
  add: (name: string, value: string): Packet => ['h', text(name, value)],
  insert: (index: number, name: string, value: string): Packet => ['i', long(index) + text(name, value)],
  change: (index: number, name: string, value: string): Packet => ['m', long(index) + text(name, value)],
  sender: (address: string, ...parameters: string[]): Packet => ['e', text(address, ...parameters)],
  recipient: (address: string): Packet => ['+', text(address)],
  recipientWith: (address: string, ...parameters: string[]): Packet => ['2', text(address, ...parameters)],
  withoutRecipient: (address: string): Packet => ['-', text(address)],
  body: (body: string): Packet => ['b', body],
  quarantine: (reason: string): Packet => ['q', text(reason)],
  reply: (reply: string): Packet => ['y', text(reply)],
} as const;

export function packetBytes([code, data = '']: Packet): Buffer {
  const bytes = Buffer.from(`\0\0\0\0${code}${data}`, 'latin1');
  bytes.writeUInt32BE(bytes.length - 4);
  return bytes;
}
