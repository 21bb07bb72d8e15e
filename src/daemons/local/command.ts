/** `|command` in an alias or .forward file, and mailbox_command: run with the rights of the alias owner or the user. */
import { ExpansionError } from '../../config/expand.ts';
import { runCommand } from '../../delivery/command.ts';
import { piecesOf, type CopyForm } from '../../delivery/content.ts';
import { censored } from '../../delivery/environment.ts';
import { isTraceOnly } from '../../delivery/reports.ts';
import { expandFor } from './expansions.ts';
import { withDefaults } from './file.ts';
import { copyFor } from './mailbox.ts';
import { failedToOwner } from './owner.ts';
import { deliveredHeader } from './settings.ts';
import { deeper, sent, type Position, type User, type Work } from './work.ts';

const form: CopyForm = { fromLine: true, returnPath: true, originalTo: true };

export async function deliverCommand(work: Work, from: Position, user: User, command: string): Promise<boolean> {
  const position = deeper(from);
  const { settings } = work;
  if (work.seen.before(`command ${position.user}:${user.uid} ${command}`)) return true;
  if (isTraceOnly(work.request.flags)) return sent(work, position, { text: `delivers to command: ${command}` });
  const rights = withDefaults(user, settings);
  const directory = directoryFor(work, position, rights);
  if (directory === undefined) return failedToOwner(work, position, { dsn: '4.3.5', text: 'mail system configuration error' });
  const result = await runCommand({
    run: { text: command, shell: settings.view.local_command_shell },
    rights: { uid: rights.uid, gid: rights.gid },
    directory: directory === '' ? undefined : directory,
    environment: { ...settings.environment, ...environmentFor(work, position, rights) },
    timeLimit: settings.view.command_time_limit * 1000,
    agent: 'local',
    utf8: settings.view.smtputf8_enable,
  }, piecesOf(copyFor(work, position, form, deliveredHeader.command)), work.log);
  if ('failure' in result) return failedToOwner(work, position, result.failure);
  return sent(work, position, { text: `delivered to command: ${command}` });
}

/** '' for the mail system's own; undefined when the parameter is no expression. */
function directoryFor(work: Work, position: Position, user: User): string | undefined {
  const { command_execution_directory: pattern, execution_directory_expansion_filter: filter } = work.settings.view;
  try {
    return expandFor(pattern, work, position, user, filter).text;
  } catch (error) {
    if (!(error instanceof ExpansionError)) throw error;
    work.log.warning(`bad parameter value syntax for command_execution_directory: ${pattern}`);
    return undefined;
  }
}

/** What a command may know. Strangers choose some of it: what a shell could take amiss becomes `_`. */
function environmentFor(work: Work, position: Position, user: User): Record<string, string> {
  const { request, settings } = work;
  const always = { LOGNAME: position.user, USER: position.user, SENDER: position.sender, RECIPIENT: position.recipient.address, LOCAL: position.local };
  const ifThere = { HOME: user.home, SHELL: user.shell, DOMAIN: position.domain, EXTENSION: position.extension };
  const ifNotEmpty = {
    ORIGINAL_RECIPIENT: position.recipient.originalAddress, ENVID: request.dsnEnvid, CLIENT_HOSTNAME: request.clientName,
    CLIENT_ADDRESS: request.clientAddress, CLIENT_HELO: request.clientHelo, CLIENT_PROTOCOL: request.clientProtocol,
    SASL_METHOD: request.saslMethod, SASL_SENDER: request.saslSender, SASL_USERNAME: request.saslUsername,
  };
  const environment: Record<string, string> = {};
  const put = (values: Record<string, string | undefined>, wanted: (value: string) => boolean): void => {
    for (const [name, value] of Object.entries(values)) {
      if (value !== undefined && wanted(value)) environment[name] = censored(value, settings.view.command_expansion_filter);
    }
  };
  put(always, () => true);
  put(ifThere, () => true);
  put(ifNotEmpty, (value) => value !== '');
  return environment;
}
