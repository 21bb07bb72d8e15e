/**
 * Logging in, as the last step of the handshake (RFC 4954): whoever drives the machine is asked for a login that fits what the server
 * offers, and it is then played to its end.
 *
 * Without one the session goes on as a stranger's. A login that fails makes the server unusable, with a temporary failure (or, without
 * smtp_sasl_auth_soft_bounce, the server's own). Nothing of a login is sent before the handshake of TLS that the settings ask for is over.
 */
import type { Login } from '../sasl-client/mechanism.ts';
import { SaslTrouble } from '../sasl-client/mechanism.ts';
import { isPositive } from './conversation.ts';
import type { Conversation } from './conversation.ts';
import { oneLine, replyClass } from './reply.ts';
import type { Reply } from './reply.ts';
import type { Failure } from './steps.ts';

/** A login that has begun, with the name of its mechanism. */
export interface NamedLogin {
  readonly mechanism: string;
  readonly login: Login;
}

/** The memory of a login. */
export interface LogIn extends NamedLogin {
  /** The first message, while it waits for the server to ask for it: it did not fit into the command. */
  held: string;
  steps: number;
}

/** RFC 4954 section 4: an AUTH command with its argument is no longer than any other. */
const commandLimit = 512;
/** A server that goes on asking is not trusted. */
const stepLimit = 100;

/** The handshake is complete but for this. `giveUp` ends the session: of handshake.ts. */
export function askForLogin(talk: Conversation): void {
  const { auth } = talk.features;
  if (talk.settings.logIn !== true || auth === undefined) talk.emit({ kind: 'ready' });
  else talk.emit({ kind: 'log-in', mechanisms: auth });
}

/** Undefined: we have none for this server. */
export function beginLogin(talk: Conversation, named: NamedLogin | undefined, giveUp: GiveUp): void {
  if (named === undefined) {
    talk.features = { ...talk.features, auth: undefined };
    talk.emit({ kind: 'ready' });
    return;
  }
  const { mechanism, login } = named;
  const first = attempt(talk, giveUp, () => login.first()?.toString('base64') ?? '');
  if (first === undefined) return;
  const fits = first !== '' && mechanism.length + first.length + 8 <= commandLimit;
  talk.login = { ...named, held: fits ? '' : first, steps: 0 };
  talk.say(stageOf(talk), fits ? `AUTH ${mechanism} ${first}` : `AUTH ${mechanism}`);
}

type GiveUp = (talk: Conversation, failure: Failure, sayQuit: boolean) => void;

function stageOf({ settings }: Conversation): 'auth' | 'lmtpAuth' {
  return settings.dialect === 'lmtp' ? 'lmtpAuth' : 'auth';
}

export function answerLogin(giveUp: GiveUp): (talk: Conversation, reply: Reply) => void {
  return (talk, reply) => {
    const login = talk.login!;
    if (replyClass(reply) === 3) return challenged(talk, login, reply, giveUp);
    talk.login = undefined;
    if (!isPositive(reply)) return refused(talk, reply, giveUp);
    if (login.login.proven) return talk.emit({ kind: 'ready' });
    giveUp(talk, trouble(talk, 'server did not prove that it knows the password'), true);
  };
}

function challenged(talk: Conversation, login: LogIn, reply: Reply, giveUp: GiveUp): void {
  const { nameAddress } = talk.options.peer;
  if (++login.steps > stepLimit)
    return cancel(talk, talk.own('4.3.0', `SASL authentication failed; authentication protocol loop with server ${nameAddress}`, 'site'), giveUp);
  const challenge = oneLine(reply).replace(/^[- \t]*[0-9]+[- \t]?/, '');
  let answer: string | undefined = login.held;
  login.held = '';
  if (answer === '') answer = attempt(talk, giveUp, () => login.login.next(decoded(challenge)).toString('base64'));
  else if (challenge !== '') {
    const reason = `SASL authentication failed; non-empty initial ${login.mechanism} challenge from server ${nameAddress}: ${challenge}`;
    return cancel(talk, { ...talk.own('4.7.0', reason, 'site'), diagnostic: 'protocol error', diagnosticType: 'x-sasl' }, giveUp);
  }
  if (answer !== undefined) talk.say(stageOf(talk), answer);
}

function refused(talk: Conversation, reply: Reply, giveUp: GiveUp): void {
  const { nameAddress } = talk.options.peer;
  talk.emit({ kind: 'log-in-refused', code: reply.code, status: reply.status, text: reply.text });
  // A line end in the server's words stands as `?` in the log, as everything unprintable.
  const text = reply.text.replaceAll('\n', '?');
  const failure = talk.said(reply, `SASL authentication failed; server ${nameAddress} said: ${text}`, 'site');
  const status = talk.settings.softLogIn === false ? failure.status : failure.status.replace(/^5/, '4');
  giveUp(talk, { ...failure, status, reason: `SASL authentication failed; server ${nameAddress} said: ${text}`, diagnostic: text }, true);
}

/** RFC 4648 section 4, strictly: what is not base64 is no challenge. */
function decoded(text: string): Buffer {
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text)) throw new SaslTrouble('bad protocol / cancel');
  return Buffer.from(text, 'base64');
}

function attempt(talk: Conversation, giveUp: GiveUp, act: () => string): string | undefined {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof SaslTrouble)) throw error;
    const failure = trouble(talk, error.message);
    if (talk.login === undefined) giveUp(talk, failure, true);
    else cancel(talk, failure, giveUp);
    return undefined;
  }
}

// RFC 4954 section 4: the client cancels with a single `*`.
function cancel(talk: Conversation, failure: Failure, giveUp: GiveUp): void {
  talk.login = undefined;
  talk.write('*\r\n');
  giveUp(talk, failure, false);
}

/** Our side of the login could not go on. */
export function trouble(talk: Conversation, text: string): Failure {
  const reason = `SASL authentication failed; cannot authenticate to server ${talk.options.peer.nameAddress}: ${text}`;
  return { ...talk.own('4.7.0', reason, 'site'), diagnostic: text, diagnosticType: 'x-sasl' };
}
