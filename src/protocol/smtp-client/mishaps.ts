/**
 * What goes wrong on a connection other than by a reply at its time: it is lost or silent, the server speaks too early or in lines
 * that are no replies, or something of ours fails. Here is what the log says then, and what becomes of the message at hand.
 */
import type { Conversation } from './conversation.ts';
import type { Exchange } from './exchange.ts';
import { giveUp } from './handshake.ts';
import type { Reply } from './reply.ts';
import { stages } from './stages.ts';
import type { StageName } from './stages.ts';
import type { Failure } from './steps.ts';

/** Lost or timed out, as `what` says, with no message at hand. */
export function lostConnection(talk: Conversation, what: string): void {
  const stage = talk.head?.stage;
  if (stage && stage !== 'quit') giveUp(talk, talk.own('4.4.2', `${what} while ${stages[stage].while}`, 'site'), false);
  else if (talk.uses === 0 && !stage && talk.deadline !== undefined) failedTls(talk);
  else if (talk.uses === 0 && !stage) giveUp(talk, talk.own('4.4.2', `${what} while ${stages.mail.while}`, 'site'), false);
  else talk.close();
}

/** So with a message at hand. `verdict`: what the server has said before it had all of the content. */
export function lostMessage(talk: Conversation, exchange: Exchange, what: string, stage: StageName | undefined, verdict: Failure | undefined): void {
  const where = exchange.streaming ? 'sending message body' : stages[stage ?? 'mail'].while;
  exchange.streaming = false;
  if (stage !== 'abort' && stage !== 'quit') exchange.failOpen(verdict ?? talk.own('4.4.2', `${what} while ${where}`, 'site'));
  exchange.hangUp(false);
}

export function failedTls(talk: Conversation): void {
  giveUp(talk, talk.own('4.7.5', 'Cannot start TLS: handshake failure', 'site'), false);
}

/**
 * A server may say no before it has seen all of the content. That it says yes to what it has not seen is not believed: such
 * a reply belongs to nothing, and taken for the answer to the dot it could lose the message.
 */
export function earlyVerdict(talk: Conversation, reply: Reply): Failure {
  const failure = talk.refused(reply, 'dot', 'message');
  return reply.code >= 400 && reply.code < 600 ? failure : { ...failure, status: '4.5.0', scope: 'site' };
}

/** The server has answered what was not yet said: somebody else may have put that there before TLS. */
export function tooEarly(talk: Conversation, exchange: Exchange): void {
  const { peer, settings } = talk.options;
  exchange.failOpen(talk.own('4.7.0', 'unexpected server message', 'site'));
  talk.log('warning', `server ${peer.nameAddress} violates ${settings.dialect}_tls_block_early_mail_reply policy`);
  exchange.hangUp(false);
}

/** Something of ours that the session cannot do without. */
export function failedLocally(talk: Conversation, exchange: Exchange | undefined): void {
  const failure = localTrouble(talk);
  if (!exchange || exchange.over) return giveUp(talk, failure, false);
  exchange.streaming = false;
  exchange.failOpen(failure);
  exchange.hangUp(false);
}

export function localTrouble(talk: Conversation): Failure {
  return talk.own('4.3.0', `local data error while talking to ${talk.options.peer.nameAddress}`, 'site');
}

/** A line that is no part of a reply. */
export function garbage(talk: Conversation, line: string, queueId: string): void {
  const { settings, peer } = talk.options;
  talk.distrust();
  if (!talk.features.pipelining) return;
  talk.log('warning', `${queueId}: non-${settings.dialect === 'lmtp' ? 'LMTP' : 'ESMTP'} response from ${peer.nameAddressPort}: ${line.slice(0, 100)}`);
  const parameter = settings.dialect === 'lmtp' ? 'lmtp_discard_lhlo_keyword_address_maps' : 'smtp_discard_ehlo_keyword_address_maps';
  if (settings.helpfulWarnings) talk.log('warning', `to prevent loss of mail, turn off command pipelining for ${peer.address} with the ${parameter} parameter`);
}
