/**
 * check_policy_service: a server outside decides, with an action of access(5). SMTPD_POLICY_README.
 *
 * A server that gives no answer, or one that cannot be used, has the default action decide: by default the client shall come again.
 */
import { renderRequest, type Attributes } from '../../../protocol/policy/policy.ts';
import { encodeXtext } from '../../../text/xtext.ts';
import { isUtf8 } from '../../../text/utf8.ts';
import { chain, type MaybePromise } from '../../../text/maybe.ts';
import { outside } from './names.ts';
import type { AccessSetup, PolicyService } from './setup.ts';
import type { AccessState, Decision, Instance, Maker, Subject, TlsSession } from './state.ts';
import { applyEntry } from './table-result.ts';

/** Where a default action that fails again ends. */
const lastResort = '451 4.3.5 Server configuration problem';

const wholeMessage: ReadonlySet<string> = new Set(['DATA', 'BDAT', 'END-OF-MESSAGE']);

/** `pid.seconds.microseconds.number`, in hexadecimal: never the same twice on this machine. */
function nameOf({ begun, number }: Instance): string {
  return [process.pid, Math.floor(begun / 1000), Math.floor((begun % 1000) * 1000), number].map((part) => part.toString(16)).join('.');
}

/** Everything a server is told, in Postfix's order. */
function attributesOf(setup: AccessSetup, state: AccessState, context: string): Attributes {
  const { client, sasl, tls } = state;
  const facts = setup.policyFacts;
  return [
    ['request', 'smtpd_access_policy'], ['protocol_state', state.where === 'BDAT' ? 'DATA' : state.where], ['protocol_name', state.protocol],
    ['client_address', client.address], ['client_name', client.name], ['client_port', client.port], ['reverse_client_name', client.reverseName],
    ['server_address', client.serverAddress], ['server_port', client.serverPort], ['helo_name', state.helo ?? ''],
    ['sender', state.sender ?? ''], ['recipient', state.recipient ?? ''], ['recipient_count', wholeMessage.has(state.where) ? state.recipientCount : 0],
    ['queue_id', state.queueId ?? ''], ['instance', state.instance === undefined ? '' : nameOf(state.instance)], ['size', state.size ?? 0], ['etrn_domain', state.etrnDomain ?? ''], ['stress', state.stress ? 'yes' : (facts?.stress ?? '')],
    ['sasl_method', sasl?.method ?? ''], ['sasl_username', sasl?.username ?? ''], ['sasl_sender', sasl?.sender ?? state.claimedSender ?? ''],
    ['ccert_subject', commonName(tls, 'subject')], ['ccert_issuer', commonName(tls, 'issuer')],
    ['ccert_fingerprint', tls?.clientCertFingerprint ?? ''], ['ccert_pubkey_fingerprint', tls?.clientPubkeyFingerprint ?? ''],
    ['encryption_protocol', tls?.protocol ?? ''], ['encryption_cipher', tls?.cipher ?? ''], ['encryption_keysize', tls?.bits ?? 0], ['tls_sni', tls?.sni ?? ''],
    ['policy_context', context], ['compatibility_level', facts?.compatibilityLevel ?? ''], ['mail_version', facts?.mailVersion ?? ''],
  ];
}

/** Names of a certificate that nobody vouches for say nothing. */
function commonName(tls: TlsSession | undefined, which: 'subject' | 'issuer'): string {
  return tls?.clientTrusted ? encodeXtext(tls[which]) : '';
}

export const checkPolicyService: Maker = (setup, argument, { defaultTable }) => {
  const service = outside(setup).policy(argument);
  const apply = (state: AccessState, about: Subject, value: string): MaybePromise<Decision> =>
    applyEntry({ setup, state, about, table: argument, key: 'policy query', value, defaultTable });
  return async (state, about) => {
    const action = usable(setup, service, await service.ask(renderRequest(attributesOf(setup, state, service.context))));
    if (action !== undefined) return apply(state, about, action);
    return withoutAnswer(state, (isNested) => apply(state, about, isNested ? lastResort : service.defaultAction));
  };
};

/** No text, or no UTF-8, is no answer. */
function usable(setup: AccessSetup, { name }: PolicyService, action: string | undefined): string | undefined {
  if (action === undefined) return undefined;
  if (setup.view.smtputf8_enable && !isUtf8(action)) return void setup.tools.warn(`malformed UTF-8 in policy server ${name} response: "${action}"`);
  return action === '' ? void setup.tools.warn(`policy server ${name} responds with an empty action`) : action;
}

/** A default action may name a class that asks the server again. */
async function withoutAnswer(state: AccessState, apply: (isNested: boolean) => MaybePromise<Decision>): Promise<Decision> {
  const depth = state.policyDepth ?? 0;
  state.policyDepth = depth + 1;
  try {
    return await chain(apply(depth > 0), (decision) => decision);
  } finally {
    state.policyDepth = depth;
  }
}
