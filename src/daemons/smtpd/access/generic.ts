/** Restrictions about nothing in particular: permit, reject, defer and their conditional forms. postconf(5). */
import { deferIfPermit } from './refuse.ts';
import { outside } from './names.ts';
import { permitted } from './permitted.ts';
import { refused, serverError, type AccessSetup } from './setup.ts';
import type { Maker, Restriction } from './state.ts';

export const permitAll: Maker = (setup, _argument, { name }) => (state, about) => permitted(setup, state, name, about);

export const rejectAll = (setup: AccessSetup): Restriction => (state, { name, replyClass }) =>
  refused(setup, state, { code: setup.view.reject_code, status: '5.7.1', text: `<${name}>: ${replyClass} rejected: Access denied` });

export const deferAll = (setup: AccessSetup): Restriction => (state, { name, replyClass }) =>
  refused(setup, state, { code: setup.view.defer_code, status: '4.3.2', text: `<${name}>: ${replyClass} rejected: Try again later` });

export const deferUnlessRejected = (setup: AccessSetup): Restriction => (state, { name, replyClass }) =>
  deferIfPermit(state, { code: 450, status: '4.7.0', text: `<${name}>: ${replyClass} rejected: defer_if_permit requested` }, setup.tools, setup.rules);

export const deferInsteadOfReject = (): Restriction => (state, { name, replyClass }) => {
  state.deferIfReject ??= { code: 450, status: '4.7.0', text: `<${name}>: ${replyClass} rejected: defer_if_reject requested` };
  return undefined;
};

/** RFC 2920: commands sent before they may be. */
export const rejectUnauthorizedPipelining = (setup: AccessSetup): Restriction => (state, { name, replyClass }) =>
  state.pipelinesIllegally
    ? refused(setup, state, { code: 503, status: '5.5.0', text: `<${name}>: ${replyClass} rejected: Improper use of SMTP command pipelining` })
    : undefined;

export const rejectMultiRecipientBounce = (setup: AccessSetup): Restriction => (state, { name, replyClass }) => {
  const limit = state.where === 'RCPT' ? 0 : 1;
  if (state.sender !== '' || state.recipientCount <= limit) return undefined;
  return refused(setup, state, { code: setup.view.multi_recipient_bounce_reject_code, status: '5.5.3', text: `<${name}>: ${replyClass} rejected: Multi-recipient bounce` });
};

export const rejectPlaintextSession = (setup: AccessSetup): Restriction => (state) => (state.tls !== undefined ? undefined
  : refused(setup, state, { code: setup.view.plaintext_reject_code, status: '4.7.1', text: 'Session encryption is required' }));

/** Wait for so many seconds, then go on. */
export const sleep: Maker = (setup, seconds) => async () => {
  await outside(setup).sleep(Number(seconds) * 1000);
  return undefined;
};

/** Names that Postfix has taken away: they say so, and refuse for now. */
export const removed = (instead: string): Maker => (setup, _argument, { name }) => (state) => {
  setup.tools.warn(`support for restriction "${name}" has been removed in ${setup.view.mail_name} 3.9; instead, specify ${instead}`);
  return serverError(setup, state);
};
