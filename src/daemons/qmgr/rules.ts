/** What main.cf says about transports and routes, as the queue manager's parts want to know it. A bad value is a warning and the default. */
import fs from 'node:fs';
import { bounceService } from '../../ipc/bounce.ts';
import { rewriteService } from '../../ipc/rewrite.ts';
import type { Tools } from '../../server/daemon.ts';
import { quote822Local, unquote822Local } from '../../message/address.ts';
import { chain } from '../../text/maybe.ts';
import { lowerAscii, splitList } from '../../text/ascii.ts';
import type { QueuePaths } from '../../queue/queue-paths.ts';
import type { LifecycleTools } from './lifecycle.ts';
import type { RouteRules } from './message.ts';
import { parseFeedback, type Feedback } from './feedback.ts';
import type { Crowd, SchedulerRules, TransportRules } from './scheduler.ts';
import type { Log } from '../../log/log.ts';

const parameters = ['double_bounce_sender', 'default_filter_nexthop', 'defer_transports', 'rewrite_service_name', 'recipient_delimiter', 'myhostname', 'qmgr_ipc_timeout'] as const;

type FeedbackSuffix = '_destination_concurrency_positive_feedback' | '_destination_concurrency_negative_feedback';

/** postconf(5) <transport>_*: those of the transport, else the default for all. */
export function transportRules(name: string, { config, log }: Tools): TransportRules {
  const limit = config.transport(name, '_destination_concurrency_limit');
  const initial = config.transport(name, '_initial_destination_concurrency');
  const delay = config.transport(name, '_destination_rate_delay') * 1000;
  const most = delay > 0 ? 1 : limit;
  const feedback = (suffix: FeedbackSuffix): Feedback => feedbackOf(name, suffix, most > 0 ? Math.min(initial, most) : initial, { config, log });
  return {
    initialConcurrency: initial, concurrencyLimit: limit, destinationDelay: delay,
    transportDelay: config.transport(name, '_transport_rate_delay') * 1000,
    failedCohortLimit: config.transport(name, '_destination_concurrency_failed_cohort_limit'),
    positiveFeedback: feedback('_destination_concurrency_positive_feedback'),
    negativeFeedback: feedback('_destination_concurrency_negative_feedback'),
    slotCost: config.transport(name, '_delivery_slot_cost'),
    slotLoan: config.transport(name, '_delivery_slot_loan'),
    slotDiscount: config.transport(name, '_delivery_slot_discount'),
    minimumSlots: config.transport(name, '_minimum_delivery_slots'),
    recipientLimit: config.transport(name, '_recipient_limit'),
    extraRecipients: config.transport(name, '_extra_recipient_limit'),
    refillLimit: config.transport(name, '_recipient_refill_limit'),
    refillDelay: config.transport(name, '_recipient_refill_delay') * 1000,
  };
}

/** Which of three ways a feedback depends on the concurrency, as the log numbers them. */
const feedbackTypes: readonly (readonly [end: string, type: number])[] = [['sqrt_concurrency', 2], ['concurrency', 1]];

function feedbackOf(transport: string, suffix: FeedbackSuffix, initial: number, { config, log }: Pick<Tools, 'config' | 'log'>): Feedback {
  const text = String(config.transport(transport, suffix));
  const name = text === config.text(`default${suffix}`) ? `default${suffix}` : `${transport}${suffix}`;
  const parsed = parseFeedback(text);
  if (parsed === undefined) log.warning(`${name}: ignoring malformed or unreasonable feedback: ${text}`);
  const feedback = parsed ?? (() => 1);
  if (config.get('destination_concurrency_feedback_debug')) {
    const type = parsed === undefined ? 0 : feedbackTypes.find(([end]) => text.trimEnd().endsWith(end))?.[1] ?? 0;
    log.info(`${transport}: ${name} feedback type ${type} value at ${initial}: ${Number(feedback(initial).toPrecision(6))}`);
  }
  return feedback;
}

/** Without `tooManyProbes`, which depends on what is in the queue. */
export function routeRules({ config, services }: Tools): Omit<RouteRules, 'tooManyProbes'> {
  const view = config.view(parameters);
  const rewrite = services.connect(rewriteService, view.rewrite_service_name, view.qmgr_ipc_timeout * 1000);
  const deferred = new Set(splitList(view.defer_transports));
  return {
    resolve: (sender, address) => rewrite.resolve({ sender, address }),
    resolveProbe: (sender, address) => rewrite.verify({ sender, address }),
    recipientLimit: (transport) => config.transport(transport, '_destination_recipient_limit'),
    doubleBounceSender: lowerAscii(view.double_bounce_sender),
    defaultFilterNexthop: view.default_filter_nexthop,
    isDeferred: (transport) => deferred.has(transport),
    hostname: view.myhostname,
    delimiters: view.recipient_delimiter,
    rewrite: (address) => chain(rewrite.rewrite({ rule: 'local', address: quote822Local(address) }), (answer) => unquote822Local(answer.address)),
  };
}

interface LimitsView {
  readonly qmgr_message_recipient_limit: number;
  readonly qmgr_message_active_limit: number;
  readonly bounce_queue_lifetime: number;
  readonly maximal_queue_lifetime: number;
  readonly qmgr_clog_warn_time: number;
  readonly helpful_warnings: boolean;
}

/** Recipients in hand: at least as many as messages. */
export function recipientLimitOf({ qmgr_message_recipient_limit: limit, qmgr_message_active_limit: messages }: LimitsView, log: Log): number {
  if (limit < messages) log.warning('qmgr_message_recipient_limit is smaller than qmgr_message_active_limit - adjusting qmgr_message_recipient_limit');
  return Math.max(limit, messages);
}

/** Seconds. */
export function lifetimeOfBounces({ bounce_queue_lifetime: lifetime, maximal_queue_lifetime: most }: LimitsView, log: Log): number {
  if (lifetime > most) log.warning('bounce_queue_lifetime is larger than maximal_queue_lifetime - adjusting bounce_queue_lifetime');
  return Math.min(lifetime, most);
}

interface LifecycleView extends LimitsView {
  readonly bounce_service_name: string;
  readonly defer_service_name: string;
  readonly trace_service_name: string;
  readonly qmgr_ipc_timeout: number;
  readonly disable_verp_bounces: boolean;
  readonly minimal_backoff_time: number;
  readonly maximal_backoff_time: number;
}

/** What the end of a delivery attempt needs. */
export function lifecycleTools({ log, store, clock, services }: Tools, view: LifecycleView, paths: QueuePaths, isSpoiled: LifecycleTools['isSpoiled']): LifecycleTools {
  const service = (name: string): LifecycleTools['bounce'] => services.connect(bounceService, name, view.qmgr_ipc_timeout * 1000);
  return {
    log, store, isSpoiled, now: () => clock.now(),
    bounce: service(view.bounce_service_name), defer: service(view.defer_service_name), trace: service(view.trace_service_name),
    hasLog: (queueId, name) => (fs.statSync(paths.path(name, queueId), { throwIfNoEntry: false })?.size ?? 0) > 0,
    verpReports: !view.disable_verp_bounces,
    rules: {
      minimalBackoff: view.minimal_backoff_time, maximalBackoff: view.maximal_backoff_time,
      queueLifetime: view.maximal_queue_lifetime, bounceLifetime: lifetimeOfBounces(view, log),
    },
  };
}

/** One destination with so large a part of the active queue is worth a warning. */
const crowdShare = 5;

/** Nothing where qmgr_clog_warn_time or helpful_warnings say so. */
export function crowdRules({ config, log }: Pick<Tools, 'config' | 'log'>, view: LimitsView, active: { readonly size: number }): Pick<SchedulerRules, 'crowd'> {
  if (!view.helpful_warnings || view.qmgr_clog_warn_time <= 0) return {};
  const { qmgr_message_active_limit: limit } = view;
  const tell = (crowd: Crowd): void => {
    const most = config.transport(crowd.transport, '_destination_concurrency_limit');
    for (const line of crowdWarnings(crowd, { limit, most, messages: active.size })) log.warning(line);
  };
  return { crowd: { limit: limit / crowdShare, pause: view.qmgr_clog_warn_time * 1000, tell } };
}

/** What Postfix says of a destination that falls behind; log readers know it. */
export function crowdWarnings(crowd: Crowd, limits: { readonly limit: number; readonly most: number; readonly messages: number }): string[] {
  const { queue, length } = crowd;
  const { messages } = limits;
  return [
    `mail for ${queue} is using up ${length} of ${messages} active queue entries`,
    ...length / messages < 0.9 ? ['this may slow down other mail deliveries'] : [],
    ...remedies(crowd, limits),
    'please avoid flushing the whole queue when you have',
    'lots of deferred mail, that is bad for performance',
    'to turn off these warnings specify: qmgr_clog_warn_time = 0',
  ];
}

function remedies({ transport, queue, length, busy, window, alone }: Crowd, { limit, most, messages }: { readonly limit: number; readonly most: number; readonly messages: number }): string[] {
  if (most > 0 && most <= busy + 1) return [`you may need to increase the main.cf ${transport}_destination_concurrency_limit from ${most}`];
  if (window > (limit * length) / messages) return [`you may need to increase the main.cf qmgr_message_active_limit from ${limit}`];
  if (!alone) return [`you may need a separate master.cf transport for ${queue}`];
  return [
    `you may need to reduce ${transport} connect and helo timeouts`,
    'so that Postfix quickly skips unavailable hosts',
    'you may need to increase the main.cf minimal_backoff_time and maximal_backoff_time',
    'so that Postfix wastes less time on undeliverable mail',
    `you may need to increase the master.cf ${transport} process limit`,
  ];
}
