/** What all sessions of a postscreen service share: settings, lists, scores, memory, counts. Opened before privileges are dropped. */
import { dnsblogService } from '../../ipc/dnsblog.ts';
import type { Log } from '../../log/log.ts';
import type { View } from '../../parameters/parameters.ts';
import { parseSites, type ListSite } from '../../protocol/postscreen/lists.ts';
import type { Action, ScreenSettings } from '../../protocol/postscreen/settings.ts';
import { newClient, type ClientRecord } from '../../protocol/postscreen/stamps.ts';
import type { Tools } from '../../server/daemon.ts';
import type { TlsService } from '../../server/tls-service.ts';
import { matchSources } from '../../tables/lists.ts';
import { openTable } from '../../tables/open.ts';
import { tableContext, type TableContext } from '../../tables/table.ts';
import { addressList, type MatchList } from '../../text/match-list.ts';
import { AccessList } from './access-list.ts';
import { Memory } from './memory.ts';
import { ProxyRole } from './proxy-role.ts';
import { Scores } from './scores.ts';
import { actionOf, screenSettings } from './settings.ts';
import { openTls } from './tls.ts';

const parameters = [
  'postscreen_pre_queue_limit', 'postscreen_post_queue_limit', 'postscreen_client_connection_count_limit', 'postscreen_dnsbl_sites', 'postscreen_dnsbl_reply_map',
  'postscreen_dnsbl_timeout', 'dnsblog_service_name', 'smtpd_service_name', 'postscreen_allowlist_interfaces', 'respectful_logging', 'syslog_name',
] as const;

/** Shares of postscreen_pre_queue_limit at which stress begins and ends. */
const highWater = 0.9;
const lowWater = 0.7;

export class Hall {
  readonly tools: Tools;
  readonly view: View<typeof parameters>;
  readonly settings: ScreenSettings;
  readonly access: AccessList;
  readonly denylistAction: Action;
  readonly tls: TlsService;
  readonly proxyRole: ProxyRole;
  readonly scores: Scores;
  readonly memory: Memory;
  /** Sessions here, and those of them that are on their way to the SMTP server. */
  sessions = 0;
  passing = 0;
  readonly #allowing: MatchList;
  readonly #clients = new Map<string, ClientRecord>();
  #isStressed = false;
  #tellsOfDefault: boolean;

  constructor(tools: Tools) {
    const { config, log, clock, services } = tools;
    const view = config.view(parameters);
    const context = tableContext(config, log, tools.restart);
    this.tools = tools;
    this.view = view;
    this.access = new AccessList(config, context);
    this.denylistAction = actionOf(tools, 'postscreen_denylist_action');
    this.tls = openTls(tools, context);
    this.proxyRole = new ProxyRole(tools, this.tls.level);
    this.settings = screenSettings(tools, context, { service: this.tls, role: this.proxyRole }, () => this.#isStressed);
    this.#allowing = addressList('postscreen_allowlist_interfaces', view.postscreen_allowlist_interfaces, matchSources(context));
    this.#tellsOfDefault = !view.respectful_logging && !config.has('respectful_logging');
    this.scores = new Scores({
      sites: sitesOf(view, context, log), dnsblog: services.connect(dnsblogService, view.dnsblog_service_name), service: view.dnsblog_service_name,
      timeout: view.postscreen_dnsbl_timeout, clock, warn: (text) => log.warning(text),
    });
    this.memory = new Memory(tools, context, this.settings.enabled);
  }

  /** Another session of a client. */
  enter(address: string): ClientRecord {
    this.sessions++;
    const limit = this.view.postscreen_pre_queue_limit;
    if (!this.#isStressed && this.sessions >= Math.floor(highWater * limit)) this.#stress(true);
    const record = this.#clients.get(address) ?? newClient();
    this.#clients.set(address, record);
    record.sessions++;
    return record;
  }

  leave(address: string): void {
    this.sessions--;
    const record = this.#clients.get(address)!;
    if (--record.sessions === 0) this.#clients.delete(address);
    if (this.#isStressed && this.sessions <= Math.floor(lowWater * this.view.postscreen_pre_queue_limit)) this.#stress(false);
  }

  /** May clients that come to this address of ours be let in? Trouble is a no. */
  async allowsAt(address: string): Promise<boolean> {
    const answer = await this.#allowing.match(address);
    if (typeof answer === 'boolean') return answer;
    this.tools.log.warning(answer.trouble);
    return false;
  }

  /** `ALLOW` and `DENY`, or the words of earlier releases (respectful_logging). */
  word(kind: 'ALLOW' | 'DENY'): string {
    if (this.view.respectful_logging) return kind;
    return kind === 'ALLOW' ? 'WHITE' : 'BLACK';
  }

  /** Once: that the words are those of a compatibility level. */
  tellOfDefault(log: Log, label: string): void {
    if (!this.#tellsOfDefault) return;
    this.#tellsOfDefault = false;
    log.info(`using backwards-compatible default setting respectful_logging=no for client ${label}`);
  }

  #stress(isStressed: boolean): void {
    this.#isStressed = isStressed;
    this.tools.log.info(`${isStressed ? 'entering' : 'leaving'} STRESS mode with ${this.sessions} connections`);
  }
}

function sitesOf(view: View<typeof parameters>, context: TableContext, log: Log): ListSite[] {
  const map = view.postscreen_dnsbl_reply_map;
  const table = map === '' ? undefined : openTable(map, context);
  try {
    return parseSites(view.postscreen_dnsbl_sites, (domain) => {
      const found = table?.find(domain);
      if (typeof found === 'object') throw new Error(`${map}: a table that has to be waited for is of no use in postscreen_dnsbl_reply_map`);
      return found;
    });
  } catch (error) {
    return log.fatal((error as Error).message);
  }
}
