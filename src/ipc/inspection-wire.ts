/**
 * Between cleanup, which has the message, and its client, which has the connections to filters: frames (trunk-wire.ts) on the connection of the
 * message, after its end record, until cleanup says `done`; its answer follows then.
 *
 * Cleanup asks for the `next` filter, shows what that one wants to see, and says `end`; each pass ends with one `verdict`, after its edits. A
 * filter that has seen enough `decided`: cleanup may stop showing, and says `end` all the same.
 */

/** To the client. */
export const shown = { next: 1, header: 2, endOfHeaders: 3, body: 4, end: 5, done: 6 } as const;

/** To cleanup. */
export const said = { none: 1, pass: 2, decided: 3, edit: 4, body: 5, verdict: 6 } as const;

export const wants = { headers: 1, body: 2 } as const;

/** Longest frame that is believed: a header, or what one read of a filter's connection gave of a new body. */
export const inspectionFrameLimit = 16 << 20;

export function frame(kind: number, ...fields: readonly (string | Buffer)[]): Buffer {
  let length = 1;
  for (const field of fields) length += field.length;
  const bytes = Buffer.allocUnsafe(4 + length);
  bytes.writeUInt32BE(length);
  bytes[4] = kind;
  let at = 5;
  for (const field of fields) at += typeof field === 'string' ? bytes.write(field, at, 'latin1') : field.copy(bytes, at);
  return bytes;
}
