/**
 * The service of tlsmgr(8): what server and client processes share about TLS, by Postfix's own protocol.
 *
 * Byte strings that may hold anything (keys, key names, seeds, sessions) go in base64, as Postfix sends data. Every answer has a status
 * of `tlsmgrStatus`.
 */
import { declareService } from './service.ts';

/** On the wire a number has no sign: these are -1 and -2. */
export const tlsmgrStatus = { ok: 0, error: 0xffff_ffff, failed: 0xffff_fffe } as const;

const status = { status: 'number' } as const;
const cached = { cache_type: 'text', cache_id: 'text' } as const;

export const tlsmgrService = declareService({
  name: 'tlsmgr',
  area: 'private',
  protocol: 'tlsmgr_protocol',
  requests: {
    /** 1 to 255 bytes that nobody can guess. */
    seed: { request: { size: 'number' }, reply: { ...status, seed: 'text' } },
    /** `cache_type`: smtpd, smtp or lmtp. `timeout` in seconds; 0: sessions are not kept, and no tickets are issued. */
    policy: { request: { cache_type: 'text' }, reply: { ...status, cachable: 'number', timeout: 'number' } },
    lookup: { request: cached, reply: { ...status, session: 'text' } },
    update: { request: { ...cached, session: 'text' }, reply: status },
    delete: { request: cached, reply: status },
    /** The key that a ticket names; with an empty name the one to issue with. See readTicketKey(). */
    tktkey: { request: { keyname: 'text' }, reply: { ...status, keybuf: 'text' } },
  },
});

/** Bytes of the parts of a ticket key, in their order. */
const keyParts = { name: 16, bits: 32, hmac: 32, expires: 8 } as const;
const keySize = keyParts.name + keyParts.bits + keyParts.hmac + keyParts.expires;

export interface TicketKeyRecord {
  readonly name: Buffer;
  readonly bits: Buffer;
  readonly hmac: Buffer;
  /** Seconds since 1970 after which it is used for old tickets only. */
  readonly expires: number;
}

export function renderTicketKey({ name, bits, hmac, expires }: TicketKeyRecord): string {
  const time = Buffer.alloc(keyParts.expires);
  time.writeBigInt64LE(BigInt(expires));
  return Buffer.concat([name, bits, hmac, time]).toString('base64');
}

/** Undefined: not such a key. */
export function readTicketKey(text: string): TicketKeyRecord | undefined {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.length !== keySize) return undefined;
  const { name, bits, hmac } = keyParts;
  return {
    name: bytes.subarray(0, name), bits: bytes.subarray(name, name + bits), hmac: bytes.subarray(name + bits, name + bits + hmac),
    expires: Number(bytes.readBigInt64LE(name + bits + hmac)),
  };
}
