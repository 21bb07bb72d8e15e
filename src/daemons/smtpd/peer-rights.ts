/**
 * What a client may do that others may not, by lists of main.cf: XCLIENT, XFORWARD, XVERP, bare newlines; and which EHLO keywords are
 * hidden from it. A list that cannot be asked gives no right; the log is told, and the client where it matters.
 */
import type { Log } from '../../log/log.ts';
import type { Peer, Right } from '../../protocol/smtp-server/peer.ts';
import type { SmtpServerSettings } from '../../protocol/smtp-server/settings.ts';
import type { Tools } from '../../server/daemon.ts';
import { clients } from '../../tables/lists.ts';
import { openMaps } from '../../tables/maps.ts';
import { TableTrouble, type TableContext } from '../../tables/table.ts';
import { lowerAscii, splitList } from '../../text/ascii.ts';
import { chain, isPending, type MaybePromise } from '../../text/maybe.ts';
import type { Client } from './access/state.ts';

export type PeerOf = (client: Client, settings: SmtpServerSettings) => MaybePromise<Peer>;

export const peerParameters = [
  'smtpd_authorized_xclient_hosts', 'smtpd_authorized_xforward_hosts', 'smtpd_authorized_verp_clients', 'smtpd_forbid_bare_newline_exclusions',
  'smtpd_discard_ehlo_keyword_address_maps',
] as const;

type Question = (client: Client) => MaybePromise<Right>;

/** Lists and tables are opened now. */
export function openPeerRights({ config, log }: Tools, context: TableContext): PeerOf {
  const may = (name: (typeof peerParameters)[number], style?: string): Question => rightOf(clients(name, config, context, style), log);
  const xclient = may('smtpd_authorized_xclient_hosts');
  const xforward = may('smtpd_authorized_xforward_hosts');
  const verp = may('smtpd_authorized_verp_clients');
  const isExcluded = may('smtpd_forbid_bare_newline_exclusions', 'mynetworks');
  const discarded = discardedKeywords(config.view(peerParameters).smtpd_discard_ehlo_keyword_address_maps, context);
  return (client, settings) => {
    const rights = [xclient(client), xforward(client), verp(client), isExcluded(client)] as const;
    const keywords = discarded(client, settings);
    if (!rights.some(isPending) && !isPending(keywords)) return peerOf(client, settings, rights as KnownRights, keywords);
    return Promise.all([Promise.all(rights), keywords]).then(([known, words]) => peerOf(client, settings, known, words));
  };
}

type KnownRights = readonly [xclient: Right, xforward: Right, verp: Right, isExcluded: Right];

function peerOf(client: Client, settings: SmtpServerSettings, [xclient, xforward, verp, isExcluded]: KnownRights, discardedKeywords: ReadonlySet<string> | undefined): Peer {
  const policesNewlines = settings.smtpd_forbid_bare_newline !== 'no' && !settings.standAlone && isExcluded !== true;
  return { client: client.label, discardedKeywords, policesNewlines, xclient, xforward, verp };
}

function rightOf(includes: (name: string, address: string) => MaybePromise<boolean>, log: Log): Question {
  const unclear = (error: unknown): Right => {
    if (!(error instanceof TableTrouble)) throw error;
    log.warning(error.message);
    return 'trouble';
  };
  return ({ name, address }) => {
    try {
      const answer = includes(name, address);
      return isPending(answer) ? answer.catch(unclear) : answer;
    } catch (error) {
      return unclear(error);
    }
  };
}

/** smtpd_discard_ehlo_keyword_address_maps takes the place of smtpd_discard_ehlo_keywords where it knows the address. */
function discardedKeywords(maps: string, context: TableContext): (client: Client, settings: SmtpServerSettings) => MaybePromise<ReadonlySet<string> | undefined> {
  const opened = openMaps(maps, context, 'smtpd_discard_ehlo_keyword_address_maps');
  if (opened.isEmpty) return (_, settings) => settings.discardedKeywords;
  const unclear = (error: unknown): undefined => {
    if (!(error instanceof TableTrouble)) throw error;
  };
  return ({ address }, settings) => {
    try {
      const found = opened.find(address);
      const words = chain(found, (text) => (text === undefined ? settings.discardedKeywords : new Set(splitList(lowerAscii(text)))));
      return isPending(words) ? words.catch(unclear) : words;
    } catch (error) {
      return unclear(error);
    }
  };
}
