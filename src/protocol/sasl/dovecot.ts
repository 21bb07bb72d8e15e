/**
 * Dovecot's authentication protocol, version 1, from the side of a server that lets clients log in. Pure: bytes in, steps out.
 *
 * One connection carries any number of logins at once, told apart by numbers. What the peer sends cannot make it throw, nor keep more
 * than one line: a line without end, a handshake without end or another protocol is a `trouble` step, the last one. Lines that are not
 * understood are passed over, as the protocol wants it.
 * https://doc.dovecot.org/2.3/developer_manual/design/auth_protocol/
 */
import { isBase64Text, type SaslAnswer } from './answer.ts';
import { mechanismProperties } from './security-options.ts';

export interface Mechanism {
  readonly name: string;
  /** Bits of security-options.ts. */
  readonly properties: number;
}

export type DovecotStep =
  /** The handshake is over: logins may begin. `cancels`: the peer knows CANCEL. */
  | { readonly kind: 'ready'; readonly mechanisms: readonly Mechanism[]; readonly cancels: boolean }
  | { readonly kind: 'answer'; readonly id: number; readonly answer: SaslAnswer }
  | { readonly kind: 'trouble'; readonly text: string };

const majorVersion = 1;
const minorVersion = 0;
/** Longest line of the peer: twice what Dovecot takes from us. */
const lineLimit = 32_768;
const handshakeLimit = 1000;
/** What is said when the server gives an answer without what belongs in it. */
const brokenAnswer = { kind: 'unavailable', reason: 'Authentication backend error' } as const satisfies SaslAnswer;

export interface LoginFacts {
  readonly id: number;
  readonly mechanism: string;
  readonly service: string;
  readonly serverAddress: string;
  readonly clientAddress: string;
  readonly isEncrypted: boolean;
  /** base64 */
  readonly initialResponse: string | undefined;
}

export function greeting(processId: number): string {
  return `VERSION\t${majorVersion}\t${minorVersion}\nCPID\t${processId}\n`;
}

/** `nologin`: nobody will ask the master socket about this user. */
export function authRequest({ id, mechanism, service, serverAddress, clientAddress, isEncrypted, initialResponse }: LoginFacts): string {
  const fields = ['AUTH', String(id), mechanism, `service=${service}`, 'nologin', `lip=${serverAddress}`, `rip=${clientAddress}`];
  if (isEncrypted) fields.push('secured');
  // The protocol wants this one last.
  if (initialResponse !== undefined) fields.push(`resp=${initialResponse}`);
  return `${fields.map(oneField).join('\t')}\n`;
}

export function continuation(id: number, response: string): string {
  return `CONT\t${id}\t${oneField(response)}\n`;
}

export function cancellation(id: number): string {
  return `CANCEL\t${id}\n`;
}

/** No value may end a field, or a line. */
function oneField(text: string): string {
  return text.replace(/[\0\t\r\n]/g, '?');
}

export class DovecotReader {
  readonly #steps: DovecotStep[] = [];
  readonly #mechanisms: Mechanism[] = [];
  #line = '';
  #lines = 0;
  #minor = 0;
  #sawMechanism = false;
  #phase: 'handshake' | 'serving' | 'over' = 'handshake';

  /** A byte string, cut anywhere. */
  receive(bytes: string): void {
    let at = 0;
    for (let end = bytes.indexOf('\n'); end >= 0 && this.#phase !== 'over'; end = bytes.indexOf('\n', at)) {
      const line = this.#line + bytes.slice(at, end);
      this.#line = '';
      at = end + 1;
      if (line.length > lineLimit) return this.#fail('line too long');
      this.#take(line);
    }
    if (this.#phase === 'over') return;
    this.#line += bytes.slice(at);
    if (this.#line.length > lineLimit) this.#fail('line too long');
  }

  next(): DovecotStep | undefined {
    return this.#steps.shift();
  }

  #fail(text: string): void {
    this.#phase = 'over';
    this.#line = '';
    this.#steps.push({ kind: 'trouble', text });
  }

  #take(line: string): void {
    const nul = line.indexOf('\0');
    const [command = '', ...fields] = (nul < 0 ? line : line.slice(0, nul)).split('\t');
    if (this.#phase === 'serving') return this.#answer(command, fields);
    if (++this.#lines > handshakeLimit) return this.#fail('handshake too long');
    switch (command) {
      case 'VERSION': return this.#version(fields);
      case 'MECH': return this.#mechanism(fields);
      case 'SPID': return this.#sawMechanism ? undefined : this.#fail('Connected to wrong auth socket (auth-master instead of auth-client)');
      case 'DONE':
        this.#phase = 'serving';
        this.#steps.push({ kind: 'ready', mechanisms: this.#mechanisms, cancels: this.#minor >= 1 });
    }
  }

  #version([major, minor]: readonly string[]): void {
    if (major === undefined || minor === undefined || !/^[0-9]{1,9}$/.test(major) || !/^[0-9]{1,9}$/.test(minor)) return this.#fail('Protocol version error');
    if (Number(major) !== majorVersion) return this.#fail(`Protocol version mismatch (${Number(major)} vs. ${majorVersion})`);
    this.#minor = Number(minor);
  }

  // The name goes into our reply to EHLO: it must be one (RFC 4422 section 3.1).
  #mechanism([name, ...properties]: readonly string[]): void {
    if (name === undefined) return;
    this.#sawMechanism = true;
    if (!/^[0-9A-Za-z_-]{1,64}$/.test(name) || properties.some((word) => word.toLowerCase() === 'private')) return;
    this.#mechanisms.push({ name, properties: mechanismProperties(properties) });
  }

  #answer(command: string, [number = '', ...fields]: readonly string[]): void {
    if (!/^[0-9]{1,10}$/.test(number)) return;
    const answer = answerOf(command, fields);
    if (answer !== undefined) this.#steps.push({ kind: 'answer', id: Number(number), answer });
  }
}

function answerOf(command: string, fields: readonly string[]): SaslAnswer | undefined {
  if (command === 'CONT') return challengeOf(fields[0]);
  if (command !== 'OK' && command !== 'FAIL') return undefined;
  const username = valueOf(fields, 'user');
  if (command === 'FAIL') return failureOf(fields, username);
  return username === undefined || username === '' ? brokenAnswer : { kind: 'done', username };
}

function challengeOf(challenge: string | undefined): SaslAnswer {
  return challenge === undefined || !isBase64Text(challenge) ? brokenAnswer : { kind: 'more', challenge };
}

/** `temp` is the flag of the protocol, `code=temp_fail` what Dovecot 2.3 sends beside or instead of it. */
function failureOf(fields: readonly string[], username: string | undefined): SaslAnswer {
  const isTemporary = fields.includes('temp') || valueOf(fields, 'code') === 'temp_fail';
  return { kind: isTemporary ? 'unavailable' : 'failed', reason: valueOf(fields, 'reason') ?? '', username };
}

/** The last one counts. */
function valueOf(fields: readonly string[], name: string): string | undefined {
  return fields.findLast((field) => field.startsWith(`${name}=`))?.slice(name.length + 1);
}
