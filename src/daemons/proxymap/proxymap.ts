/**
 * proxymap(8): has tables open for other processes, so that these need neither connections to a database of their own nor a way out of their jail.
 *
 * As `proxymap` it answers look-ups in the tables that proxy_read_maps leads to; as `proxywrite` it also changes those of proxy_write_maps, for all
 * who want to, one after the other. It opens a table when somebody first asks for it, with the rights that it then has: those of mail_owner.
 */
import { proxymapStatus, sequenceFunction, serveProxymap, tableFlags, type proxymapService } from '../../ipc/proxymap.ts';
import type { Calls } from '../../ipc/service.ts';
import type { Daemon, Service, Session, Tools } from '../../server/daemon.ts';
import { openTable } from '../../tables/open.ts';
import { preloadLibraries } from '../../tables/server/preload.ts';
import { tableContext, TableTrouble, type LookupTable, type TableContext, type TableOptions } from '../../tables/table.ts';
import { openWritten, type Written } from '../../tables/written.ts';
import { chain, isPending, type MaybePromise } from '../../text/maybe.ts';
import { splitList } from '../../text/ascii.ts';
import { approvedTables, withoutProxy } from './gate.ts';

const parameters = ['proxy_read_maps', 'proxy_write_maps', 'smtpd_restriction_classes', 'smtputf8_enable'] as const;

export const daemon: Daemon = {
  card: {
    name: 'proxymap',
    summary: 'looks up and changes tables for other processes',
    group: 'tables',
    calls: [],
    privileges: { user: 'mail_owner', network: true, writes: [] },
    row: 'proxymap  unix  -       -       n       -       -       proxymap',
    standards: [],
  },
  open: (tools) => new Proxymap(tools),
};

type ProxymapCalls = Calls<typeof proxymapService>;
type Name = { readonly table: string; readonly instance_flags: number };

interface Shared {
  readonly table: LookupTable;
  /** Of proxywrite only. */
  readonly written: Written | undefined;
}

/** A shared table, and the flags with which it is open for one who asked, as Postfix tells its clients. */
interface Opened extends Shared { readonly flags: number }

const { ok, noKey, retry, bad, denied, config } = proxymapStatus;
const folding = tableFlags.foldFixed | tableFlags.foldPattern;

class Proxymap implements Service {
  readonly calls: ProxymapCalls;
  readonly #tools: Tools;
  readonly #context: TableContext;
  readonly #writes: boolean;
  readonly #approved: ReadonlySet<string>;
  readonly #shared = new Map<string, Shared>();

  constructor(tools: Tools) {
    const { row, log } = tools;
    const view = tools.config.view(parameters);
    if (row.service !== 'proxymap' && row.service !== 'proxywrite')
      log.fatal(`invalid service name: "${row.service}" - service name must be "proxywrite" or "proxymap"`);
    this.#tools = tools;
    this.#writes = row.service === 'proxywrite';
    this.#context = { ...tableContext(tools.config, log, tools.restart), opensProxied: true };
    const warn = (text: string): void => log.warning(text);
    const list = this.#writes ? view.proxy_write_maps : view.proxy_read_maps;
    const approved = approvedTables(list, this.#parameter, warn);
    if (!this.#writes) for (const name of splitList(view.smtpd_restriction_classes))
      for (const table of approvedTables(tools.config.text(name), 'smtpd_restriction_classes', warn)) approved.add(table);
    this.#approved = approved;
    if (row.chroot) preloadLibraries(approved);
    this.calls = this.#callsOf(new Map());
  }

  async client({ socket, log, ending }: Session): Promise<void> {
    const cursors = new Map<string, Iterator<readonly [string, string]>>();
    await serveProxymap(socket, this.#callsOf(cursors), log, ending);
    for (const cursor of cursors.values()) cursor.return?.();
  }

  get #parameter(): string {
    return this.#writes ? 'proxy_write_maps' : 'proxy_read_maps';
  }

  #callsOf(cursors: Map<string, Iterator<readonly [string, string]>>): ProxymapCalls {
    return {
      open: (request) => this.#with(request, ({ flags }) => ({ status: ok, flags })),
      lookup: (request) => this.#with(request, ({ table, flags }) => chain(table.find(request.key), (value) => ({ status: value === undefined ? noKey : ok, flags, value: value ?? '' })), { value: '' }),
      update: (request) => this.#change('update', request, (written) => chain(written.update(request.key, request.value), () => ok)),
      delete: (request) => this.#change('delete', request, (written) => chain(written.remove(request.key), (removed) => (removed ? ok : noKey))),
      sequence: (request) => this.#with(request, (opened) => nextEntry(opened, request, cursors), { key: '', value: '' }),
    };
  }

  /** What fails of a table is told to the client in one number; the log has heard the rest. */
  #with<R extends { status: number; flags: number }>(name: Name, answer: (opened: Opened) => MaybePromise<R>, empty?: Omit<R, 'status' | 'flags'>): MaybePromise<R> {
    const failed = (status: number, flags: number): R => ({ status, flags, ...empty }) as unknown as R;
    const opened = this.#open(name);
    if (typeof opened === 'number') return failed(opened, name.instance_flags);
    const trouble = (error: unknown): R => {
      if (!(error instanceof TableTrouble)) throw error;
      if (error.message.includes(' is unavailable. ')) this.#tools.log.warning(error.message);
      return failed(error.kind === 'config' ? config : retry, opened.flags);
    };
    try {
      const reply = answer(opened);
      return isPending(reply) ? reply.catch(trouble) : reply;
    } catch (error) {
      return trouble(error);
    }
  }

  #change(what: string, name: Name, change: (written: Written) => MaybePromise<number>): MaybePromise<{ status: number; flags: number }> {
    if (this.#writes) return this.#with(name, ({ written, flags }) => chain(change(written!), (status) => ({ status, flags })));
    this.#tools.log.warning(`refusing ${name.table} ${what} request on non-proxywrite service`);
    return { status: denied, flags: 0 };
  }

  /** A table as it was asked for; a number: why not. */
  #open({ table: asked, instance_flags: flags }: Name): Opened | number {
    const name = withoutProxy(asked);
    if (!name.includes(':')) return bad;
    if (!this.#approved.has(name)) return this.#refuse(name);
    const fold = (flags & folding) !== 0;
    const utf8 = (flags & tableFlags.utf8Wanted) !== 0 && this.#tools.config.get('smtputf8_enable');
    const noSubstitution = (flags & tableFlags.noSubstitution) !== 0;
    const valueIsFile = (flags & tableFlags.valueIsFile) !== 0;
    const key = `${fold} ${utf8} ${noSubstitution} ${valueIsFile} ${name}`;
    try {
      const shared = this.#shared.get(key) ?? this.#share(key, name, { fold, utf8, noSubstitution, valueIsFile });
      const kept = flags & ~(tableFlags.fixed | tableFlags.pattern | tableFlags.utf8Active);
      return { ...shared, flags: kept | (shared.table.fixed ? tableFlags.fixed : tableFlags.pattern) | (utf8 ? tableFlags.utf8Active : 0) };
    } catch (error) {
      this.#tools.log.warning(`${name} is unavailable. ${(error as Error).message}`);
      return retry;
    }
  }

  #share(key: string, name: string, options: TableOptions & { readonly fold: boolean }): Shared {
    const shared: Shared = this.#writes ? openWritten(name, this.#context, options) : { table: openTable(name, this.#context, options), written: undefined };
    this.#shared.set(key, shared);
    return shared;
  }

  #refuse(name: string): number {
    const { log } = this.#tools;
    log.warning(`request for unapproved table: "${name}"`);
    log.warning(`to approve this table for ${this.#writes ? 'read-write' : 'read-only'} access, list proxy:${name} in main.cf:${this.#parameter}`);
    return denied;
  }
}

/** A connection has a place of its own in each table. */
function nextEntry({ table, flags }: Opened, request: Name & { readonly function: number }, cursors: Map<string, Iterator<readonly [string, string]>>) {
  let cursor = cursors.get(request.table);
  if (!cursor || request.function === sequenceFunction.first) cursors.set(request.table, (cursor = table.entries!()[Symbol.iterator]()));
  const { done, value } = cursor.next();
  if (done) cursors.delete(request.table);
  return done ? { status: noKey, flags, key: '', value: '' } : { status: ok, flags, key: value[0], value: value[1] };
}
