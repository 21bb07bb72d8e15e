/**
 * `proxy:type:name`: the table is open in the process of proxymap(8), and this is a client of it.
 *
 * Types whose opening costs nothing and which every process can ask (see `inPlace`) are opened here all the same. A service that is not there, is
 * slow or not configured for the table is TableTrouble.
 */
import { existsSync } from 'node:fs';
import { ProxymapClient, proxymapStatus, sequenceFunction, tableFlags } from '../../ipc/proxymap.ts';
import type { TableDriver, TableKind, Treatment } from '../driver.ts';
import { TableTrouble, type TableContext, type TableOptions } from '../table.ts';

/** Nothing to share, and no file that a jail would hide: asking another process would only cost. */
const inPlace = new Set(['environ', 'fail', 'inline', 'internal', 'randmap', 'static', 'unix']);
/** Types that are not asked for parts of an address. */
const patterns = new Set(['cidr', 'fail', 'pcre', 'randmap', 'regexp', 'socketmap', 'tcp']);

/** Connections to the service, requests that wait for one, and milliseconds for an answer, as for tcp: tables. */
const links = 16;
const waiting = 10_000;
const patience = 100_000;

/** The name without any `proxy:` in front. */
export function proxiedName(name: string): string {
  return name.startsWith('proxy:') ? proxiedName(name.slice(6)) : name;
}

const typeOf = (name: string): string => name.slice(0, Math.max(0, name.indexOf(':')));

/** Is a table `proxy:NAME` opened by whoever asks for it? Security-sensitive ones always are, as Postfix has it. */
export function isOpenedInPlace(name: string, options: TableOptions): boolean {
  return options.sensitive === true || options.valueIsFile === true || inPlace.has(typeOf(proxiedName(name)));
}

function isPattern(name: string): boolean {
  const inner = /^(?:unionmap|pipemap|debug):\{?[ \t\r\n]*([^]*)$/.exec(name);
  return inner ? isPattern(proxiedName(inner[1]!)) : patterns.has(typeOf(name));
}

const clients = new WeakMap<TableContext, Map<string, ProxymapClient>>();

function clientOf(context: TableContext, service: 'proxymap' | 'proxywrite'): ProxymapClient {
  let known = clients.get(context);
  if (!known) clients.set(context, (known = new Map()));
  let client = known.get(service);
  if (!client) {
    const idle = (Number.parseInt(context.parameter('ipc_idle'), 10) || 5) * 1000;
    known.set(service, (client = new ProxymapClient(socketPath(context, service), { links, waiting, timeout: patience, idle })));
  }
  return client;
}

/** Daemons stand in the queue directory; commands stand anywhere. */
function socketPath(context: TableContext, service: string): string {
  const relative = `private/${context.parameter(`${service}_service_name`) || service}`;
  return existsSync(relative) ? relative : `${context.parameter('queue_directory')}/${relative}`;
}

function flagsOf({ fold, utf8 }: Treatment, { noSubstitution }: TableOptions): number {
  return tableFlags.lock | (fold ? tableFlags.foldFixed : 0) | (utf8 ? tableFlags.utf8Wanted : 0) | (noSubstitution ? tableFlags.noSubstitution : 0);
}

export function proxyKind(name: string, treatment: Treatment, context: TableContext, options: TableOptions): TableKind {
  const fixed = !isPattern(proxiedName(name));
  const open = (): TableDriver => {
    if (typeOf(proxiedName(name)) === '') throw new Error(`proxymap open failed for table "${name}": invalid request`);
    return proxyDriver(name, flagsOf(treatment, options), fixed, context, options.written ? 'proxywrite' : 'proxymap');
  };
  // The server folds keys and looks at their bytes: it knows the table.
  return { open, fixed, owner: { trusted: true, uid: undefined }, keepsCase: true };
}

function proxyDriver(name: string, instanceFlags: number, fixed: boolean, context: TableContext, reader: 'proxymap' | 'proxywrite'): TableDriver {
  const label = `proxy:${name}`;
  const asked = { table: name, instance_flags: instanceFlags, flags: instanceFlags | (fixed ? tableFlags.fixed : tableFlags.pattern) | (instanceFlags & tableFlags.utf8Wanted ? tableFlags.utf8Active : 0) };
  // Found when it is first asked: in a jail its place has another name than before.
  const [reading, writing] = [() => clientOf(context, reader), () => clientOf(context, 'proxywrite')];
  const settle = (service: string, what: string, status: number): boolean => {
    if (status === proxymapStatus.ok || status === proxymapStatus.noKey) return status === proxymapStatus.ok;
    const [text, kind] = troubles(service, what, name).get(status) ?? [`${service} ${what} failed for table "${name}": unexpected reply status ${status}`, 'retry'];
    if (status !== proxymapStatus.retry && status !== proxymapStatus.config) context.warn(text);
    throw new TableTrouble(label, text, kind);
  };
  const trouble = (error: Error): never => {
    if (error instanceof TableTrouble) throw error;
    context.warn(`${label}: service ${error.message}`);
    throw new TableTrouble(label, `service ${error.message}`);
  };
  return {
    find: (key) => (key.includes('\0') ? undefined
      : reading().ask('lookup', { ...asked, key }).then(({ status, value }) => (settle(reader, 'lookup', status) ? value : undefined)).catch(trouble)),
    update: (key, value) => writing().ask('update', { ...asked, key, value }).then(({ status }) => void settle('proxywrite', 'update', status)).catch(trouble),
    remove: (key) => writing().ask('delete', { ...asked, key }).then(({ status }) => settle('proxywrite', 'delete', status)).catch(trouble),
    // Clients stay: other tables of this context use them, and an unused connection closes itself.
  };
}

function troubles(service: string, what: string, name: string): Map<number, [string, 'retry' | 'config']> {
  return new Map<number, [string, 'retry' | 'config']>([
    [proxymapStatus.retry, [`${service} ${what} failed for table "${name}"`, 'retry']],
    [proxymapStatus.config, [`${service} ${what} failed for table "${name}"`, 'config']],
    [proxymapStatus.bad, [`${service} ${what} failed for table "${name}": invalid request`, 'config']],
    [proxymapStatus.denied, [`${service} service is not configured for table "${name}"`, 'config']],
  ]);
}

/** Everything in a table, one entry after the other, by way of the service: what `postmap -s proxy:...` lists. Throws TableTrouble. */
export async function* proxyEntries(name: string, context: TableContext, service: 'proxymap' | 'proxywrite' = 'proxymap'): AsyncGenerator<readonly [string, string]> {
  const client = clientOf(context, service);
  const flags = flagsOf({ fold: true, utf8: true }, {});
  for (let next: number = sequenceFunction.first; ; next = sequenceFunction.next) {
    const asked = { table: name, instance_flags: flags, flags: flags | tableFlags.fixed, function: next };
    const { status, key, value } = await client.ask('sequence', asked).catch((error: Error) => {
      throw new TableTrouble(`proxy:${name}`, `service ${error.message}`);
    });
    if (status === proxymapStatus.noKey) return;
    if (status !== proxymapStatus.ok) throw new TableTrouble(`proxy:${name}`, (troubles(service, 'sequence', name).get(status) ?? [`${service} sequence failed`])[0]);
    yield [key, value];
  }
}
