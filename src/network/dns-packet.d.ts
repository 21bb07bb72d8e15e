/** The part of the dns-packet library that is used here. */
declare module 'dns-packet' {
  export interface Record {
    name: string;
    type: string;
    class?: string;
    ttl?: number;
    data?: unknown;
  }
  export interface Packet {
    id?: number;
    type?: 'query' | 'response';
    flags?: number;
    rcode?: string;
    flag_tc?: boolean;
    flag_ad?: boolean;
    questions?: { name: string; type: string; class?: string }[];
    answers?: Record[];
    authorities?: Record[];
    additionals?: object[];
  }
  export const RECURSION_DESIRED: number;
  export const AUTHENTIC_DATA: number;
  export function encode(packet: Packet): Buffer;
  export function decode(bytes: Buffer): Packet;
}
