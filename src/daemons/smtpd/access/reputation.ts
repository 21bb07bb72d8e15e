/** Restrictions that ask DNS lists, and the words they refuse with: default_rbl_reply, rbl_reply_maps. postconf(5). */
import { splitDsn } from '../../../message/dsn.ts';
import { TableTrouble } from '../../../tables/table.ts';
import { chain, type MaybePromise } from '../../../text/maybe.ts';
import { ifAuthorized } from './destination.ts';
import { openDnsList, type DnsList } from './dns-list.ts';
import { outside } from './names.ts';
import { clientSubject, permitted } from './permitted.ts';
import { statusFor } from './refuse.ts';
import { refused, serverError, type AccessSetup } from './setup.ts';
import type { AccessState, Decision, Maker, ReplyClass, Restriction } from './state.ts';

/** Who or what is looked for in the list; undefined: there is nothing to look for. */
interface Target { readonly what: string; readonly replyClass: ReplyClass }
type Of = (state: AccessState) => Target | undefined;

const named = (what: string | undefined, replyClass: ReplyClass): Target | undefined => (what === undefined || what === '' ? undefined : { what, replyClass });
const known = (what: string, replyClass: ReplyClass): Target | undefined => (what.toLowerCase() === 'unknown' ? undefined : { what, replyClass });

const targets = {
  address: ({ client }) => ({ what: client.address, replyClass: 'Client host' }),
  client: ({ client }) => known(client.name, 'Client host'),
  reverse: ({ client }) => known(client.reverseName, 'Unverified Client host'),
  helo: ({ helo }) => named(helo, 'Helo command'),
  sender: ({ sender }) => named(sender, 'Sender address'),
  recipient: ({ recipient }) => named(recipient, 'Recipient address'),
} as const satisfies Record<string, Of>;

type Whose = keyof typeof targets;

const listOf = (setup: AccessSetup, name: string, whose: Whose): DnsList => openDnsList(setup, name, whose === 'address' ? 'addresses' : 'domains');

/** The question may be put before it is this list's turn: lists that stand in a row are asked at the same time. */
function asking(list: DnsList, of: Of, restriction: (state: AccessState) => MaybePromise<Decision>): Restriction {
  const ahead = (state: AccessState): void => {
    const target = of(state);
    if (target !== undefined) void list.ask(state, target.what);
  };
  return Object.assign(restriction, { ahead });
}

export const rejectListed = (whose: Whose): Maker => (setup, argument) => {
  const list = listOf(setup, argument, whose);
  const replies = setup.openMaps(setup.view.rbl_reply_maps, 'rbl_reply_maps');
  const of: Of = targets[whose];
  return asking(list, of, async (state) => {
    const target = of(state);
    const listing = target === undefined ? undefined : await list.ask(state, target.what);
    if (target === undefined || listing?.kind !== 'listed') return undefined;
    let template: string | undefined;
    try {
      template = await replies.find(list.name) ?? (list.name === list.domain ? undefined : await replies.find(list.domain));
    } catch (error) {
      if (error instanceof TableTrouble) return serverError(setup, state);
      throw error;
    }
    return refusedWith(setup, state, target, wording(setup, state, list, target, listing.text, template));
  });
};

/** A template that makes no sense is replaced by the default one. */
function wording(setup: AccessSetup, state: AccessState, list: DnsList, { what, replyClass }: Target, reason: string, template: string | undefined): string {
  const more = new Map([
    ['rbl_code', String(setup.view.maps_rbl_reject_code)], ['rbl_domain', list.domain], ['rbl_reason', reason], ['rbl_txt', reason], ['rbl_what', what], ['rbl_class', replyClass],
  ]);
  const { expand } = outside(setup);
  const own = template === undefined ? undefined : expand(template, state, more);
  if (template !== undefined && own === undefined) setup.tools.warn(`rbl_reject_reply: bad rbl reply template for domain ${list.name}: ${template}`);
  return own ?? expand(setup.view.default_rbl_reply, state, more) ?? '';
}

function refusedWith(setup: AccessSetup, state: AccessState, { what, replyClass }: Target, text: string): Decision {
  const code = /^[45][0-9][0-9] /.exec(text)?.[0];
  if (code === undefined) {
    setup.tools.warn(`rbl response code configuration error: ${text}`);
    return refused(setup, state, { code: 450, status: '4.7.1', text: 'Service unavailable' });
  }
  const split = splitDsn('4.7.1', text.slice(4));
  return refused(setup, state, { code: Number(code), status: statusFor(split.status, { name: what, replyClass }, state), text: split.text === '' ? 'Service unavailable' : split.text });
}

/** A list of friends opens no relay: for a recipient elsewhere it says nothing. */
export const permitListed = (whose: 'address' | 'client'): Maker => (setup, argument, { name }) => {
  const list = listOf(setup, argument, whose);
  const of: Of = targets[whose];
  const asked = async (state: AccessState, { what, replyClass }: Target): Promise<Decision> => {
    const listing = await list.ask(state, what);
    if (listing.kind === 'listed') return permitted(setup, state, name, clientSubject(state));
    if (listing.kind === 'later') state.deferIfReject ??= { code: 450, status: '4.7.1', text: `<${what}>: ${replyClass} rejected: Service unavailable` };
    return undefined;
  };
  return asking(list, of, (state) => {
    const target = of(state);
    if (target === undefined) return undefined;
    if (state.where !== 'RCPT' || state.recipient === undefined) return asked(state, target);
    return ifAuthorized(setup, state, state.recipient, (isOurs) => (isOurs ? asked(state, target) : undefined));
  });
};

/** reject_maps_rbl, as it was: every list of maps_rbl_domains, one after the other. */
export const rejectMapsRbl: Maker = (setup, _argument, place) => {
  setup.tools.warn(`restriction "${place.name}" is deprecated; instead, specify "reject_rbl_client domain-name" for each domain of maps_rbl_domains`);
  const lists = setup.view.maps_rbl_domains.split(/[, \t\r\n]+/).filter((domain) => domain !== '').map((domain) => rejectListed('address')(setup, domain, place));
  const from = (state: AccessState, at: number): MaybePromise<Decision> =>
    (at === lists.length ? undefined : chain(lists[at]!(state, clientSubject(state)), (decision) => decision ?? from(state, at + 1)));
  return Object.assign((state: AccessState) => {
    for (const { ahead } of lists) ahead?.(state);
    return from(state, 0);
  }, { ahead: (state: AccessState) => { for (const { ahead } of lists) ahead?.(state); } });
};
