/** What the tests of this folder share: a setup whose tables, name service and services are said in the test, and a session. */
import type { Dns, DnsStatus, RecordType } from '../../../network/dns.ts';
import type { Log } from '../../../log/log.ts';
import { Maps } from '../../../tables/maps.ts';
import type { LookupTable, TableContext } from '../../../tables/table.ts';
import { createExpander } from './expansion.ts';
import type { AccessSetup, Outside } from './setup.ts';
import { noSideEffects, type AccessState } from './state.ts';

type Told = DnsStatus | readonly string[];

export interface Bench {
  readonly setup: AccessSetup;
  readonly state: AccessState;
  readonly warnings: string[];
  readonly lines: string[];
  readonly asked: string[];
}

export interface Circumstances {
  readonly view?: object;
  /** By table name, `type:name`, or by the value of a maps parameter. */
  readonly tables?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** `name TYPE`: the records, or why there are none. */
  readonly names?: Readonly<Record<string, Told>>;
  readonly outside?: Partial<Outside>;
  readonly state?: Partial<AccessState>;
}

export function tableOf(name: string, entries: Readonly<Record<string, string>>): LookupTable {
  const known = new Map(Object.entries(entries));
  return { type: 'test', name, fixed: true, owner: { trusted: true, uid: 0 }, find: (key) => known.get(key), changed: () => false, close: () => undefined };
}

export function bench({ view = {}, tables = {}, names = {}, outside = {}, state = {} }: Circumstances = {}): Bench {
  const warnings: string[] = [];
  const lines: string[] = [];
  const asked: string[] = [];
  const warn = (text: string): void => void warnings.push(text);
  const dns: Dns = {
    lookup: (name, type) => {
      asked.push(`${name} ${type}`);
      return answerTo(names[`${name} ${type}`] ?? 'not-found', name, type);
    },
  };
  const context = { warn, parameter: () => '' } as unknown as TableContext;
  const setup = {
    view: { mail_name: 'Postern', soft_bounce: false, allow_untrusted_routing: false, smtputf8_enable: true, smtpd_proxy_filter: '', receive_override_options: '', maps_rbl_reject_code: 554, rbl_reply_maps: '',
      default_rbl_reply: '$rbl_code Service unavailable; $rbl_class [$rbl_what] blocked using $rbl_domain${rbl_reason?; $rbl_reason}', access_map_reject_code: 554, ...view },
    tools: { resolve: (_sender: string, recipient: string) => ({ transport: 'local', nexthop: '', recipient, flags: 256 }), log: (what: string, _state: AccessState, text: string) => void lines.push(`${what}: ${text}`), warn },
    rules: { softBounce: false, utf8: true },
    openTable: (name: string) => tableOf(name, tables[name] ?? {}),
    openMaps: (list: string, title: string) => new Maps(title, list === '' ? [] : [tableOf(list, tables[list] ?? {})], context),
    findAddress: (maps: Maps, address: string) => {
      const value = maps.find(address);
      return value === undefined ? undefined : { value, extension: undefined, keyUsed: address };
    },
    domainKeys: (name: string) => [name], addressKeys: (address: string) => ({ keys: [address], whole: 1 }),
    outside: { dns, native: () => Promise.resolve({ addresses: [] }), sleep: () => Promise.resolve(), monotonic: () => 0, expand: createExpander({ myhostname: 'mx.example.org', filter: 'Cabcdefghijklmnopqrstuvwxyz0123456789 .:[]/;', warn, localTime: () => 'Nov 21 10:00:00' }), ...outside },
  } as unknown as AccessSetup;
  const log = { info: (text: string) => void lines.push(text), warning: warn } as unknown as Log;
  const session: AccessState = {
    client: {
      name: 'unknown', reverseName: 'unknown', nameStatus: 'permanent', reverseStatus: 'permanent', address: '192.0.2.1', literal: '192.0.2.1', port: '4711', label: 'unknown[192.0.2.1]',
      serverAddress: '192.0.2.9', serverPort: '25',
    },
    log, helo: 'client.example.org', protocol: 'ESMTP', sender: 'ann@example.org', recipient: 'joe@example.org', recipientCount: 0, where: 'RCPT', queueId: undefined, effects: noSideEffects(),
    deferIfPermit: undefined, deferIfReject: undefined, warnOnly: false, recipientChecked: false, senderChecked: false, depth: 0, pipelinesIllegally: false, ...state,
  };
  return { setup, state: session, warnings, lines, asked };
}

function answerTo(told: Told, name: string, type: RecordType): ReturnType<Dns['lookup']> {
  const status = typeof told === 'string' ? told : 'ok';
  const records = (typeof told === 'string' ? [] : told).map((data) => ({ type, name, ttl: 60, data, preference: 0, weight: 0, port: 0 }));
  return { status, records, reason: status === 'ok' ? '' : `no answer for ${name}`, rcode: 'NOERROR', secure: false, ttl: 60 };
}
