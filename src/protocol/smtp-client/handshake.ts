/**
 * From the greeting to a session that is ready for mail: greeting, EHLO or HELO or LHLO, STARTTLS (RFC 5321 sections 3.1
 * and 3.2, RFC 3207, RFC 2033 section 4.1). A failure here concerns the server as a whole.
 */
import { sameIgnoringCase } from '../../text/ascii.ts';
import { isPositive } from './conversation.ts';
import type { Conversation } from './conversation.ts';
import { noFeatures, parseFeatures } from './features.ts';
import { answerLogin, askForLogin } from './log-in.ts';
import { oneLine } from './reply.ts';
import type { Reply } from './reply.ts';
import type { Failure } from './steps.ts';

type Answer = (talk: Conversation, reply: Reply) => void;

export const handshakeAnswers = {
  greeting: answerGreeting,
  ehlo: answerEhlo,
  lhlo: (talk, reply) => (isPositive(reply) ? takeFeatures(talk, reply) : refuse(talk, reply)),
  helo: (talk, reply) => (isPositive(reply) ? settle(talk) : refuse(talk, reply)),
  startTls: answerStartTls,
  auth: answerLogin(giveUp),
  lmtpAuth: answerLogin(giveUp),
} as const satisfies Record<string, Answer>;

/** The handshake came to nothing. */
export function giveUp(talk: Conversation, failure: Failure, sayQuit: boolean): void {
  if (sayQuit) talk.write('QUIT\r\n');
  if (sayQuit) talk.transcript?.said('QUIT');
  talk.emit({ kind: 'unusable', failure });
  talk.close();
}

/** After a TLS handshake the server is asked anew what it offers (RFC 3207 section 4.2). */
export function afterTls(talk: Conversation): void {
  talk.secure = true;
  talk.features = noFeatures;
  if (talk.options.tlsWrapped) talk.expect('greeting');
  else hello(talk, true);
}

function refuse(talk: Conversation, reply: Reply, status = reply.status): void {
  const reason = `host ${talk.options.peer.nameAddress} refused to talk to me: ${oneLine(reply)}`;
  giveUp(talk, talk.said(reply, reason, 'site', status), true);
}

function answerGreeting(talk: Conversation, reply: Reply): void {
  if (!isPositive(reply)) {
    const soften = talk.settings.skip5xxGreeting && reply.status.startsWith('5') && reply.code >= 500;
    refuse(talk, reply, soften ? `4${reply.status.slice(1)}` : reply.status);
    return;
  }
  const { loop, peer, settings } = talk.options;
  const isPix = /^[20 *\t\n]*$/.test(reply.text) && workAround(talk);
  if (loop.detect && sameIgnoringCase(/^[0-9]*[- \t\n]*([^ \t\n]*)/.exec(reply.text)![1]!, settings.myHostname))
    talk.log('warning', `host ${peer.nameAddressPort} greeted me with my own hostname ${settings.myHostname}`);
  hello(talk, !isPix && wantsEhlo(talk, reply.text));
}

/** A greeting of asterisks is that of a Cisco PIX, whose faults are known. True: it does not speak ESMTP. */
function workAround(talk: Conversation): boolean {
  const { peer, settings } = talk.options;
  const pix = talk.options.pix?.();
  if (pix === undefined) return false;
  talk.log('info', `${talk.options.queueId ?? ''}: enabling PIX workarounds: ${pix.names} for ${peer.nameAddressPort}`);
  talk.dotDelay = pix.dotDelay;
  return pix.noEsmtp && settings.dialect === 'smtp';
}

// Old servers say ESMTP in their greeting when they know EHLO.
function wantsEhlo({ settings }: Conversation, greeting: string): boolean {
  if (settings.neverSendEhlo) return false;
  return settings.alwaysSendEhlo || greeting.replace(/^[0-9]*[- \t\n]*/, '').split(/[ \t\n]+/).some((word) => sameIgnoringCase(word, 'ESMTP'));
}

function hello(talk: Conversation, extended: boolean): void {
  const { dialect, heloName } = talk.settings;
  if (dialect === 'lmtp') talk.say('lhlo', `LHLO ${heloName}`);
  else if (extended) talk.say('ehlo', `EHLO ${heloName}`);
  else talk.say('helo', `HELO ${heloName}`);
}

// RFC 5321 section 3.2: a server that refuses EHLO may still know HELO, but 421 is its last word.
function answerEhlo(talk: Conversation, reply: Reply): void {
  if (isPositive(reply)) takeFeatures(talk, reply);
  else if (reply.code === 421) refuse(talk, reply);
  else hello(talk, false);
}

function takeFeatures(talk: Conversation, reply: Reply): void {
  const { peer, discard, discardLog } = talk.options;
  if (!talk.secure) talk.introduction = reply.text;
  if (discardLog !== '') talk.log('info', `discarding EHLO keywords: ${discardLog}`);
  talk.features = parseFeatures(reply.text, discard, (text) => talk.log('warning', `${text} from ${peer.nameAddressPort}`));
  // RFC 8689 section 2: what is offered in plain text may have been put there by somebody else.
  if (!talk.secure && talk.features.requireTls) talk.features = { ...talk.features, requireTls: false };
  if (loops(talk)) return;
  if (talk.features.smtputf8 && !talk.features.eightBitMime) {
    talk.log('info', `host ${peer.nameAddress} offers SMTPUTF8 support, but not 8BITMIME`);
    talk.features = { ...talk.features, eightBitMime: true };
  }
  settle(talk);
}

function loops(talk: Conversation): boolean {
  const { loop, peer, settings } = talk.options;
  if (!loop.detect || !sameIgnoringCase(talk.features.host, settings.myHostname)) return false;
  talk.log('warning', `host ${peer.nameAddressPort} replied to HELO/EHLO with my own hostname ${settings.myHostname}`);
  giveUp(talk, talk.own(loop.bestMx ? '5.4.6' : '4.4.6', `mail for ${loop.nexthop} loops back to myself`, 'site'), true);
  return true;
}

/** The server has introduced itself: TLS, or ready. */
function settle(talk: Conversation): void {
  const { tls, tlsUnavailable, requireTls } = talk.options;
  if (!talk.secure && tls !== 'none' && !tlsUnavailable && talk.features.startTls) return talk.say('startTls', 'STARTTLS');
  // In plain text mail goes only where nobody has asked for more.
  if (!talk.secure && (tls === 'encrypt' || requiresTls(talk))) return giveUp(talk, withoutTls(talk), true);
  if (talk.secure && requireTls === 'enforce' && !talk.features.requireTls) {
    const reason = `Sender requested REQUIRETLS, but no server was found that supports REQUIRETLS. The last attempted server was ${talk.options.peer.nameAddress}`;
    return giveUp(talk, { ...talk.own('5.7.30', reason, 'message', true), breach: true }, true);
  }
  askForLogin(talk);
}

function requiresTls({ options: { requireTls } }: Conversation): boolean {
  return requireTls === 'enforce' || requireTls === 'starttls';
}

function withoutTls(talk: Conversation): Failure {
  const { nameAddress } = talk.options.peer;
  if (talk.features.startTls) return talk.own('4.7.5', 'TLS is required, but our TLS engine is unavailable', 'site');
  const reason = requiresTls(talk) ? 'Sender requested REQUIRETLS, but TLS service was not offered by host' : 'TLS is required, but was not offered by host';
  const failure = requiresTls(talk) ? talk.own('5.7.30', `${reason} ${nameAddress}`, 'message', true) : talk.own('4.7.4', `${reason} ${nameAddress}`, 'site');
  return { ...failure, breach: true };
}

function answerStartTls(talk: Conversation, reply: Reply): void {
  const { tls, peer, settings } = talk.options;
  if (isPositive(reply)) {
    talk.armFor(settings.timeouts.startTls);
    talk.emit({ kind: 'start-tls' });
  } else if (requiresTls(talk)) {
    giveUp(talk, { ...talk.own('5.7.10', `Sender requested REQUIRETLS, but host ${peer.nameAddress} refused to start TLS: ${oneLine(reply)}`, 'message', true), breach: true }, true);
  } else if (tls === 'encrypt') {
    const reason = `TLS is required, but host ${peer.nameAddress} refused to start TLS: ${oneLine(reply)}`;
    giveUp(talk, { ...talk.said(reply, reason, 'site'), breach: true }, true);
  } else askForLogin(talk);
}
