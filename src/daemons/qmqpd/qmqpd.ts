/**
 * qmqpd(8): takes mail from the hosts of a qmail cluster, by QMQP. Only clients of qmqpd_authorized_clients are listened to: whoever
 * is, may send anywhere.
 */
import { zoneAt } from '../../host/zone.ts';
import { cleanupFlag, externalFlags } from '../../ipc/cleanup.ts';
import { overriddenFlags } from '../../ipc/override-options.ts';
import { HostsFile } from '../../network/hosts-file.ts';
import { Resolver } from '../../network/resolver.ts';
import type { Daemon, Service, Session, Tools } from '../../server/daemon.ts';
import { clients } from '../../tables/lists.ts';
import { tableContext, TableTrouble } from '../../tables/table.ts';
import { splitList } from '../../text/ascii.ts';
import { mailDate } from '../../text/rfc822-date.ts';
import { describePeer } from './peer.ts';
import { QmqpConversation, type QmqpHall, type Welcome } from './session.ts';

const parameters = [
  'qmqpd_authorized_clients', 'qmqpd_client_port_logging', 'qmqpd_error_delay', 'qmqpd_timeout', 'message_size_limit', 'line_length_limit', 'soft_bounce',
  'content_filter', 'receive_override_options', 'cleanup_service_name', 'myhostname', 'mail_name', 'verp_delimiter_filter', 'smtputf8_enable',
  'smtputf8_autodetect_classes', 'resolver_configuration',
] as const;

export const daemon: Daemon = {
  card: {
    name: 'qmqpd',
    summary: 'takes mail by QMQP',
    group: 'network in',
    calls: ['cleanup'],
    privileges: { user: 'mail_owner', network: true, writes: [] },
    row: '#628       inet  n       -       n       -       -       qmqpd',
    standards: [],
  },
  open,
};

function open(tools: Tools): Service {
  const { config, log, clock, restart } = tools;
  const view = config.view(parameters);
  const context = tableContext(config, log, restart);
  const isAuthorized = clients('qmqpd_authorized_clients', config, context);
  const warn = (text: string): void => log.warning(text);
  const dns = new Resolver({ ticker: clock, warn, file: view.resolver_configuration });
  const sources = { dns, hosts: new HostsFile('/etc/hosts', clock), warn, logsPort: view.qmqpd_client_port_logging };
  const hall = hallOf(tools);
  return {
    async client(session: Session) {
      const peer = await describePeer(session.socket, sources);
      session.log.info(`connect from ${peer.label}`);
      await new QmqpConversation(session, peer, hall).served(await welcomeOf(() => isAuthorized(peer.name, peer.address), warn));
      session.log.info(`disconnect from ${peer.label}`);
    },
  };
}

async function welcomeOf(isAuthorized: () => boolean | Promise<boolean>, warn: (text: string) => void): Promise<Welcome> {
  try {
    return await isAuthorized() ? 'welcome' : 'stranger';
  } catch (error) {
    if (!(error instanceof TableTrouble)) throw error;
    warn(error.message);
    return 'unknown';
  }
}

function hallOf({ config, clock, services }: Tools): QmqpHall {
  const view = config.view(parameters);
  zoneAt(clock.now()); // reads the zone's file, which a chroot may lack
  const detects = splitList(view.smtputf8_autodetect_classes).some((name) => name === 'qmqpd' || name === 'all');
  const utf8 = view.smtputf8_enable && detects ? cleanupFlag.autoUtf8 : 0;
  return {
    cleanup: services.cleanup(view.cleanup_service_name),
    flags: (externalFlags & ~overriddenFlags(view.receive_override_options)) | utf8,
    settings: {
      timeout: view.qmqpd_timeout, errorDelay: view.qmqpd_error_delay, messageLimit: view.message_size_limit, lineLimit: view.line_length_limit,
      softBounce: view.soft_bounce,
    },
    hostname: view.myhostname, mailName: view.mail_name, contentFilter: view.content_filter, verpFilter: view.verp_delimiter_filter, clock,
    date: (milliseconds) => mailDate(milliseconds / 1000, zoneAt(milliseconds)),
  };
}
