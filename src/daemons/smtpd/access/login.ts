/** Restrictions about who has logged in or shown a certificate, and whose sender addresses are whose. SASL_README, TLS_README. */
import { braceContent } from '../../../tables/braces.ts';
import type { Maps } from '../../../tables/maps.ts';
import { TableTrouble } from '../../../tables/table.ts';
import { sameIgnoringCase, splitList, splitListGroups } from '../../../text/ascii.ts';
import { chain, isPending, type MaybePromise } from '../../../text/maybe.ts';
import { foldCase } from '../../../text/utf8.ts';
import { clientSubject, permitted } from './permitted.ts';
import { resolveAddress } from './resolve-address.ts';
import { refused, serverError, tableFailure, type AccessSetup } from './setup.ts';
import type { AccessState, Decision, Maker, Subject, TlsSession } from './state.ts';
import { search, type Search } from './table.ts';

/** Who logs in as nobody in particular is nobody that we know (RFC 4505). */
export const permitSaslAuthenticated: Maker = (setup, _argument, { name }) => (state) =>
  (state.sasl === undefined || sameIgnoringCase(state.sasl.method, 'anonymous') ? undefined : permitted(setup, state, name, clientSubject(state)));

type Judge = (setup: AccessSetup, owners: Maps, state: AccessState, sender: string) => MaybePromise<Decision>;

function ofSender(judge: Judge): Maker {
  return (setup, _argument, { name }) => {
    const owners = setup.openMaps(setup.view.smtpd_sender_login_maps, 'smtpd_sender_login_maps');
    return (state) => {
      if (!setup.view.smtpd_sasl_auth_enable) return void setup.tools.warn(`restriction \`${name}' ignored: no SASL support`);
      return state.sender === undefined || state.sender === '' ? undefined : judge(setup, owners, state, state.sender);
    };
  };
}

/** Who owns an address: login names; undefined when nobody does. */
function withOwners(setup: AccessSetup, owners: Maps, state: AccessState, sender: string, next: (found: string | undefined) => Decision): MaybePromise<Decision> {
  const failed = (error: unknown): Decision => {
    if (!(error instanceof TableTrouble)) throw error;
    return error.kind === 'config' ? serverError(setup, state) : tableFailure(setup, state, sender);
  };
  return resolveAddress(setup, state, 'sender', sender, ({ recipient }) => {
    try {
      const found = setup.findAddress(owners, recipient);
      return isPending(found) ? found.then((late) => next(late?.value), failed) : next(found?.value);
    } catch (error) {
      return failed(error);
    }
  });
}

function unlessOwner(mayBeNobodys: boolean): Judge {
  return (setup, owners, state, sender) => {
    const user = state.sasl?.username;
    if (user === undefined) return undefined;
    return withOwners(setup, owners, state, sender, (found) => {
      if (found === undefined && mayBeNobodys) return undefined;
      if (splitList(found ?? '').some((name) => foldCase(name) === foldCase(user))) return undefined;
      return refused(setup, state, { code: 553, status: '5.7.1', text: `<${sender}>: Sender address rejected: not owned by user ${user}` });
    });
  };
}

const unlessNobodys: Judge = (setup, owners, state, sender) => {
  if (state.sasl !== undefined) return undefined;
  return withOwners(setup, owners, state, sender, (found) => (found === undefined ? undefined
    : refused(setup, state, { code: 553, status: '5.7.1', text: `<${sender}>: Sender address rejected: not logged in` })));
};

export const rejectAuthenticatedSenderLoginMismatch = ofSender(unlessOwner(false));
export const rejectUnauthenticatedSenderLoginMismatch = ofSender(unlessNobodys);
export const rejectKnownSenderLoginMismatch = ofSender((setup, owners, state, sender) =>
  (state.sasl === undefined ? unlessNobodys : unlessOwner(true))(setup, owners, state, sender));

/** The warning where certificates decide and none is asked for. */
function unasked(setup: AccessSetup, name: string): undefined {
  if (!setup.view.smtpd_tls_ask_ccert) setup.tools.warn(`${name} is requested, but "smtpd_tls_ask_ccert = no"`);
  return undefined;
}

const hasCredential = (tls: TlsSession | undefined): tls is TlsSession =>
  tls !== undefined && (tls.clientCertFingerprint !== '' || tls.clientPubkeyFingerprint !== '');

/** A certificate that a CA of ours vouches for (`any`), or one whose fingerprint is in relay_clientcerts. */
export const permitTlsClientcerts = (any: boolean): Maker => (setup, _argument, { name }) => {
  const listed = setup.openMaps(setup.view.relay_clientcerts, 'relay_clientcerts');
  return (state) => {
    const { tls } = state;
    if (tls === undefined) return undefined;
    const yes = (): MaybePromise<Decision> => permitted(setup, state, name, clientSubject(state));
    if (any && tls.clientTrusted) return yes();
    if (!hasCredential(tls)) return unasked(setup, name);
    return chain(listed.find(tls.clientPubkeyFingerprint), (byKey) => (byKey !== undefined ? yes()
      : chain(listed.find(tls.clientCertFingerprint), (byCertificate) => (byCertificate === undefined ? undefined : yes()))));
  };
};

const fingerprints: ReadonlyMap<string, (tls: TlsSession) => string> = new Map([
  ['cert_fingerprint', (tls: TlsSession) => tls.clientCertFingerprint],
  ['pubkey_fingerprint', (tls: TlsSession) => tls.clientPubkeyFingerprint],
]);

/** `type:name`, or `{ type:name, { search_order = pubkey_fingerprint } }`. */
function parseCertificateTable(argument: string): { title: string; order: readonly string[] } {
  const content = braceContent(argument);
  const [title = '', ...options] = content === undefined ? [argument] : splitListGroups(content);
  const order = [...fingerprints.keys()];
  for (const option of options) {
    const [, name, value = ''] = /^[ \t]*([a-z_]+)[ \t]*=(.*)$/s.exec(braceContent(option) ?? option) ?? [];
    if (name !== 'search_order') throw new TableTrouble(argument, `unknown option in "${argument}"`, 'config');
    order.splice(0, order.length, ...splitList(value));
  }
  return { title, order };
}

export const checkCcertAccess: Maker = (setup, argument, { name, defaultTable }) => {
  const { title, order } = parseCertificateTable(argument);
  const table = setup.openTable(title);
  return (state) => {
    const { tls } = state;
    if (!hasCredential(tls)) return unasked(setup, name);
    const about: Subject = { name: tls.subject, replyClass: 'Client certificate' };
    const question: Search = { setup, state, table, title, about, defaultTable };
    return byFingerprint(question, order.map((which) => fingerprints.get(which)?.(tls)));
  };
};

async function byFingerprint(question: Search, prints: readonly (string | undefined)[]): Promise<Decision> {
  for (const print of prints) {
    if (print === undefined) return serverError(question.setup, question.state);
    const hit = print === '' ? undefined : await search(question, [{ text: print, isPart: false }], print);
    if (hit?.decision !== undefined) return hit.decision;
  }
  return undefined;
}
