/**
 * `postmap -b`, `-h`, `-m`: what header_checks(5) and body_checks(5) would be asked about a message.
 *
 * Headers as a whole, with their line breaks; body lines one by one. Without `m` the message's own header and one body; with it the headers
 * of parts and of messages within the message, and their bodies. Keys end at a null character, as everywhere in tables.
 */
import { MimeMachine } from '../message/mime.ts';

/** @param flags h: headers, b: body lines, m: look into MIME structure */
export async function* contentKeys(stream: AsyncIterable<Uint8Array | string>, flags: ReadonlySet<string>): AsyncGenerator<string, void, undefined> {
  let found: string[] = [];
  let finished = false;
  const onlyOwnHeaders = !flags.has('b') && !flags.has('m');
  const machine = new MimeMachine({
    header: (_place, _kind, field) => void (flags.has('h') && found.push(untilNul(field))),
    headersEnd: () => { finished = onlyOwnHeaders; },
    body: (text) => void (flags.has('b') && found.push(untilNul(text.toString('latin1')))),
  }, { plain: !flags.has('m') });
  for await (const line of byteLines(stream)) {
    machine.line(line);
    yield* found;
    found = [];
    if (finished) break;
  }
  machine.end();
  yield* found;
}

/** What a C string is of it. */
export function untilNul(key: string): string {
  const end = key.indexOf('\0');
  return end < 0 ? key : key.slice(0, end);
}

async function* byteLines(stream: AsyncIterable<Uint8Array | string>): AsyncGenerator<Buffer, void, undefined> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of stream) {
    const bytes = Buffer.from(chunk as Uint8Array);
    rest = rest.length === 0 ? bytes : Buffer.concat([rest, bytes]);
    let at = 0;
    for (let end = rest.indexOf(10, at); end >= 0; end = rest.indexOf(10, at)) {
      yield rest.subarray(at, end);
      at = end + 1;
    }
    rest = rest.subarray(at);
  }
  if (rest.length > 0) yield rest;
}
