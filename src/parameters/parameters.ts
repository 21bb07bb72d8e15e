// All main.cf parameters by name, put together from the topic files; the types of their values come from the cards.
// Names that exist per transport (`smtp_destination_recipient_limit`) are in `families.ts`.
// `cardOf` never fails: a name without a card is a user-defined parameter or a misprint, which only its use can tell.

import type { Card, ValueOfKind } from './card.ts';
import { addressVerifyParameters } from './address-verify.ts';
import { anvilParameters } from './anvil.ts';
import { bounceParameters } from './bounce.ts';
import { canonicalParameters } from './canonical.ts';
import { cleanupHeadersParameters } from './cleanup-headers.ts';
import { flushParameters } from './flush.ts';
import { installationParameters } from './installation.ts';
import { lmtpClientParameters } from './lmtp-client.ts';
import { lmtpConnectionParameters } from './lmtp-connection.ts';
import { lmtpSaslParameters } from './lmtp-sasl.ts';
import { lmtpTlsParameters } from './lmtp-tls.ts';
import { localParameters } from './local.ts';
import { loggingParameters } from './logging.ts';
import { milterParameters } from './milter.ts';
import { multiInstanceParameters } from './multi-instance.ts';
import { networkParameters } from './network.ts';
import { pipeParameters } from './pipe.ts';
import { journalParameters } from './journal.ts';
import { placementParameters } from './placement.ts';
import { postscreenParameters } from './postscreen.ts';
import { postscreenDnsblParameters } from './postscreen-dnsbl.ts';
import { postscreenTlsParameters } from './postscreen-tls.ts';
import { processParameters } from './process.ts';
import { proxymapParameters } from './proxymap.ts';
import { qmgrSchedulerParameters } from './qmgr-scheduler.ts';
import { qmqpdParameters } from './qmqpd.ts';
import { queueParameters } from './queue.ts';
import { queueManagerParameters } from './queue-manager.ts';
import { rewriteParameters } from './rewrite.ts';
import { smtpClientParameters } from './smtp-client.ts';
import { smtpConnectionParameters } from './smtp-connection.ts';
import { smtpSaslParameters } from './smtp-sasl.ts';
import { smtpTlsParameters } from './smtp-tls.ts';
import { smtpdParameters } from './smtpd.ts';
import { smtpdProxyParameters } from './smtpd-proxy.ts';
import { smtpdRestrictionsParameters } from './smtpd-restrictions.ts';
import { smtpdSaslParameters } from './smtpd-sasl.ts';
import { smtpdTlsParameters } from './smtpd-tls.ts';
import { smtputf8Parameters } from './smtputf8.ts';
import { submissionParameters } from './submission.ts';
import { tablesParameters } from './tables.ts';
import { tlsParameters } from './tls.ts';
import { tlsproxyParameters } from './tlsproxy.ts';
import { verpParameters } from './verp.ts';
import { virtualParameters } from './virtual.ts';
import { virtualAliasParameters } from './virtual-alias.ts';

export const parameters = {
  ...addressVerifyParameters,
  ...anvilParameters,
  ...bounceParameters,
  ...canonicalParameters,
  ...cleanupHeadersParameters,
  ...flushParameters,
  ...installationParameters,
  ...lmtpClientParameters,
  ...lmtpConnectionParameters,
  ...lmtpSaslParameters,
  ...lmtpTlsParameters,
  ...localParameters,
  ...loggingParameters,
  ...milterParameters,
  ...multiInstanceParameters,
  ...networkParameters,
  ...pipeParameters,
  ...journalParameters,
  ...placementParameters,
  ...postscreenParameters,
  ...postscreenDnsblParameters,
  ...postscreenTlsParameters,
  ...processParameters,
  ...proxymapParameters,
  ...qmgrSchedulerParameters,
  ...qmqpdParameters,
  ...queueParameters,
  ...queueManagerParameters,
  ...rewriteParameters,
  ...smtpClientParameters,
  ...smtpConnectionParameters,
  ...smtpSaslParameters,
  ...smtpTlsParameters,
  ...smtpdParameters,
  ...smtpdProxyParameters,
  ...smtpdRestrictionsParameters,
  ...smtpdSaslParameters,
  ...smtpdTlsParameters,
  ...smtputf8Parameters,
  ...submissionParameters,
  ...tablesParameters,
  ...tlsParameters,
  ...tlsproxyParameters,
  ...verpParameters,
  ...virtualParameters,
  ...virtualAliasParameters,
} as const;

export type ParameterName = keyof typeof parameters;
export type ParameterValue<N extends ParameterName> = ValueOfKind<(typeof parameters)[N]['kind']>;

/** What a program reads: the values of the names it listed, and no others. */
export type View<N extends readonly ParameterName[]> = { readonly [Name in N[number]]: ParameterValue<Name> };

const cards: ReadonlyMap<string, Card> = new Map(Object.entries<Card>(parameters));

/** The card of a parameter that has one name. */
export function cardOf(name: string): Card | undefined {
  return cards.get(name);
}

/** Every name in the order of its bytes, as `postconf` prints them. */
export function parameterNames(): ParameterName[] {
  return [...cards.keys()].sort() as ParameterName[];
}
