/** ETRN (RFC 1985): asks flush(8) to have the mail for a site tried now, and tells the client. Trouble on our side is a warning and a 458. */
import { flushService, flushStatus } from '../../ipc/flush.ts';
import type { Log } from '../../log/log.ts';
import { reply, say } from '../../protocol/smtp-server/reply.ts';
import type { Verdict } from '../../protocol/smtp-server/steps.ts';
import type { Tools } from '../../server/daemon.ts';
import { domainsWithParents } from '../../tables/lists.ts';
import type { TableContext } from '../../tables/table.ts';
import { chain, isPending, type MaybePromise } from '../../text/maybe.ts';

/** A status of ipc/flush.ts; fails when flush(8), or a table of fast_flush_domains, is out of reach. A site that is not eligible costs flush(8) nothing. */
export function openFlushSite({ config, services }: Tools, context: TableContext): (site: string) => MaybePromise<number> {
  const isEligible = domainsWithParents('fast_flush_domains', config, context);
  const flush = services.connect(flushService, config.get('flush_service_name'));
  return (site) => chain(isEligible(site), (eligible) => {
    if (!eligible) return flushStatus.denied;
    return chain(flush.send_site({ site }), ({ status }) => status);
  });
}

type FlushSite = (site: string) => MaybePromise<number>;

/** `client` as log lines name it. Without `flushSite` there is no such service. */
export function answerEtrn(domain: string, client: string, flushSite: FlushSite | undefined, log: Log): MaybePromise<Verdict> {
  const trouble = (error: Error): number => (log.warning(error.message), flushStatus.failed);
  return chain(status(domain, flushSite, trouble), (answer): Verdict => {
    if (answer === flushStatus.ok) return { accept: true };
    const asked = `ETRN ${domain.slice(0, 100)}... from ${client}`;
    if (answer === flushStatus.denied) {
      log.warning(`reject: ${asked}`);
      return { accept: false, reply: reply(459, undefined, `<${domain}>: service unavailable`) };
    }
    log.warning(answer === flushStatus.bad ? `bad ${asked}` : 'unable to talk to fast flush service');
    return { accept: false, reply: say.etrnStandAlone };
  });
}

function status(domain: string, flushSite: FlushSite | undefined, trouble: (error: Error) => number): MaybePromise<number> {
  try {
    const answer = flushSite?.(domain) ?? flushStatus.denied;
    return isPending(answer) ? answer.catch(trouble) : answer;
  } catch (error) {
    return trouble(error as Error);
  }
}
