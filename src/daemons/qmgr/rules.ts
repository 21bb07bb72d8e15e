/** What main.cf says about transports and routes, as the queue manager's parts want to know it. A bad value is a warning and the default. */
import { rewriteService } from '../../ipc/rewrite.ts';
import type { Tools } from '../../server/daemon.ts';
import { lowerAscii, splitList } from '../../text/ascii.ts';
import type { RouteRules } from './message.ts';
import { parseFeedback, type TransportRules } from './scheduler.ts';

const parameters = ['double_bounce_sender', 'default_filter_nexthop', 'defer_transports', 'rewrite_service_name'] as const;

type FeedbackSuffix = '_destination_concurrency_positive_feedback' | '_destination_concurrency_negative_feedback';

/** postconf(5) <transport>_*: those of the transport, else the default for all. */
export function transportRules(name: string, { config, log }: Tools): TransportRules {
  const feedback = (suffix: FeedbackSuffix): ((window: number) => number) => {
    const text = String(config.transport(name, suffix));
    const parsed = parseFeedback(text);
    if (parsed === undefined) log.warning(`${name}${suffix}: bad feedback value "${text}"; using 1`);
    return parsed ?? (() => 1);
  };
  return {
    initialConcurrency: config.transport(name, '_initial_destination_concurrency'),
    concurrencyLimit: config.transport(name, '_destination_concurrency_limit'),
    failedCohortLimit: config.transport(name, '_destination_concurrency_failed_cohort_limit'),
    positiveFeedback: feedback('_destination_concurrency_positive_feedback'),
    negativeFeedback: feedback('_destination_concurrency_negative_feedback'),
  };
}

/** Without `tooManyProbes`, which depends on what is in the queue. */
export function routeRules({ config, services }: Tools): Omit<RouteRules, 'tooManyProbes'> {
  const view = config.view(parameters);
  const rewrite = services.connect(rewriteService, view.rewrite_service_name);
  const deferred = new Set(splitList(view.defer_transports));
  return {
    resolve: (sender, address) => rewrite.resolve({ sender, address }),
    resolveProbe: (sender, address) => rewrite.verify({ sender, address }),
    recipientLimit: (transport) => config.transport(transport, '_destination_recipient_limit'),
    doubleBounceSender: lowerAscii(view.double_bounce_sender),
    defaultFilterNexthop: view.default_filter_nexthop,
    isDeferred: (transport) => deferred.has(transport),
  };
}
