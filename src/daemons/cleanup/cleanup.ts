/**
 * cleanup(8): every message passes here on its way into the queue; nothing else writes incoming mail.
 *
 * It completes headers and addresses, expands virtual aliases, holds the limits, and answers only when the message is durable.
 * See session.ts for one message; this file opens what all messages share.
 */
import { existsSync } from 'node:fs';
import { ConfigurationError } from '../../config/configuration-error.ts';
import { Reports, reportParameters } from '../../delivery/reports.ts';
import { bounceService } from '../../ipc/bounce.ts';
import { serveCleanup } from '../../ipc/cleanup-server.ts';
import type { Cleanup, CleanupOptions, CleanupSession } from '../../ipc/cleanup.ts';
import { rewriteService } from '../../ipc/rewrite.ts';
import { quote822Local, unquote822Local } from '../../message/address.ts';
import { QueuePaths } from '../../queue/queue-paths.ts';
import type { Daemon, Service, Tools } from '../../server/daemon.ts';
import { addressRules, localDomains } from '../../tables/lists.ts';
import { mapAddress } from '../../tables/address-mapping.ts';
import { openMaps } from '../../tables/maps.ts';
import { tableContext } from '../../tables/table.ts';
import { splitList } from '../../text/ascii.ts';
import { AnswerMemory } from '../../text/answer-memory.ts';
import { chain, type MaybePromise } from '../../text/maybe.ts';
import { parseNameMask, type NameTable } from '../../text/name-mask.ts';
import { openAddressMaps } from './address-maps.ts';
import { contentRules } from './content-rules.ts';
import { cleanupParameters, type CleanupContext } from './context.ts';
import { InFlow } from './in-flow.ts';
import { openOtherMilters } from './milter-emulation.ts';
import { MessageSession } from './session.ts';

/** Headers and addresses that are remembered as rewritten. */
const rewrittenHeaders = 1000;
const rewrittenAddresses = 1000;

export const daemon: Daemon = {
  card: {
    name: 'cleanup',
    summary: 'canonicalize and enqueue mail',
    group: 'queue',
    calls: ['rewrite', 'bounce', 'trace', 'qmgr', 'verify'],
    privileges: { user: 'mail_owner', network: false, writes: ['incoming', 'hold', 'bounce', 'trace'] },
    row: 'cleanup   unix  n       -       n       -       0       cleanup',
    standards: ['RFC 5321', 'RFC 5322', 'RFC 3461', 'RFC 6532'],
  },
  open,
};

function open(tools: Tools): Service {
  const context = cleanupContext(tools);
  const open = (options: CleanupOptions): MaybePromise<CleanupSession> => chain(context.inFlow?.pause(), () => new MessageSession(context, options));
  const calls: Cleanup = { open, reserve: () => context.store.reserve?.(context.view.enable_long_queue_ids) };
  return { calls, client: ({ socket, log, ending }) => serveCleanup(socket, calls, log, ending) };
}

function cleanupContext(tools: Tools): CleanupContext {
  const { config, log, clock, services } = tools;
  const view = config.view(cleanupParameters);
  const tables = tableContext(config, log, tools.restart);
  const rules = addressRules(config, localDomains(config, tables));
  const virtualAliases = openMaps(view.virtual_alias_maps, tables, 'virtual_alias_maps');
  const propagates = extensionUses(view.propagate_unmatched_extensions);
  const milterHeaderChecks = openMaps(view.milter_header_checks, tables, 'milter_header_checks');
  const rewrite = services.connect(rewriteService, view.rewrite_service_name);
  const complete = (address: string): MaybePromise<string> => chain(rewrite.rewrite({ rule: 'local', address }), (reply) => reply.address);
  const aliases = { maps: virtualAliases, rules, propagates: propagates('virtual'), complete, warn: (text: string) => log.warning(text) };
  return {
    view, log, clock, services, rewrite,
    store: tools.store,
    content: contentRules(view, tables),
    bounce: services.connect(bounceService, view.bounce_service_name),
    trace: services.connect(bounceService, view.trace_service_name),
    reports: new Reports({ parameters: config.view(reportParameters), clock, services }, log),
    // Rewriting depends on main.cf alone.
    rewrittenHeaders: new AnswerMemory(rewrittenHeaders, Infinity, () => clock.monotonic()),
    addressMaps: openAddressMaps({ config, tables, rules, propagates, complete, log }),
    virtualAliases: virtualAliases.isEmpty ? undefined : (address) => mapAddress(aliases, address),
    fullAddress: fullAddresses(complete, () => clock.monotonic()),
    holdDirectory: 'incoming',
    milters: openOtherMilters(tools),
    milterHeaderChecks: milterHeaderChecks.isEmpty ? undefined : milterHeaderChecks,
    inFlow: inFlow(view, tools),
  };
}

/** The same address comes again and again, and rewriting depends on main.cf alone. */
function fullAddresses(complete: (address: string) => MaybePromise<string>, now: () => number): CleanupContext['fullAddress'] {
  const known = new AnswerMemory<string>(rewrittenAddresses, Infinity, now);
  return (address) => known.get(address) ?? (address === '' ? '' : chain(complete(quote822Local(address)), (full) => known.keep(address, unquote822Local(full))));
}

function inFlow(view: CleanupContext['view'], { store, clock }: Tools): InFlow {
  const paths = new QueuePaths({ hashQueueNames: view.hash_queue_names, hashQueueDepth: view.hash_queue_depth });
  return new InFlow({
    delay: view.in_flow_delay, limit: view.default_process_limit,
    untaken: () => store.residents?.untaken ?? 0,
    isThere: (queueId) => existsSync(paths.path('incoming', queueId)),
    after: (milliseconds, run) => void clock.after(milliseconds, run),
  });
}

const extensionWords: NameTable = ['canonical', 'virtual', 'alias', 'forward', 'include', 'generic'].map((name, bit) => [name, 1 << bit]);

/** propagate_unmatched_extensions, to be asked word by word. Throws ConfigurationError for an unknown word. */
function extensionUses(text: string): (use: string) => boolean {
  const parsed = parseNameMask('propagate_unmatched_extensions', extensionWords, text, { exactCase: true });
  if ('error' in parsed) throw new ConfigurationError(parsed.error, undefined, `known are ${extensionWords.map(([name]) => name).join(', ')}`);
  const words = new Set(splitList(text));
  return (use) => words.has(use);
}
