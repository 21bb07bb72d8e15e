/**
 * The part of master(8) that serves: settings, log, locks, the mail system, signals.
 *
 * Trouble before it serves is fatal: a line in the log and on standard error. Afterwards nothing ends it but a signal.
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import { Configuration, configDirectory } from '../../config/configuration.ts';
import { configuredLog } from '../../config/log-target.ts';
import { asUser } from '../../host/identity.ts';
import { errorText } from '../../host/libc.ts';
import { trimMemory } from '../../host/memory.ts';
import { dup } from '../../host/descriptors.ts';
import { ignoreDebugSignal, startSession } from '../../host/process.ts';
import type { Log } from '../../log/log.ts';
import { StderrSink, TeeSink } from '../../log/sinks.ts';
import { sinkOf } from '../../log/target.ts';
import { systemClock } from '../../server/clock.ts';
import { isMasterRunning, takeMasterLock } from '../../server/master-lock.ts';
import { MailSystem, masterLog } from './mail-system.ts';
import type { MasterOptions } from './options.ts';
import { masterSettings, type MasterSettings } from './settings.ts';
import { readyDescriptor } from './start-monitor.ts';

const pidFile = 'pid/master.pid';
/** Milliseconds after the start when what was only needed for starting is given back. */
const settled = 3000;

function putOn(fd: number, text: string): void {
  try {
    writeSync(fd, text, null, 'latin1');
  } catch {
    // nobody listens there any more
  }
}

function exit(status: number): never {
  process.exit(status);
}

/** The status to end with; undefined: master runs on. */
export function serve(options: MasterOptions, early: Log): number | undefined {
  const settings = loadSettings(options, early);
  const target = tryOr(() => configuredLog(settings.config), (error) => early.fatal(error.message));
  // Until master serves, whoever started it by hand sees on standard error what goes wrong: a copy that no child inherits.
  const screen = dup(2);
  const sink = sinkOf(target);
  const log = masterLog(new TeeSink(sink, new StderrSink((text) => putOn(screen, text))), settings, exit);
  tryOr(() => process.chdir(settings.queueDirectory), (error) => log.fatal(`chdir ${settings.queueDirectory}: ${errorText(error)}`));
  if (options.test) return tryOr(() => (isMasterRunning(pidFile) ? 1 : 0), (error) => log.fatal(`open lock file ${pidFile}: ${errorText(error)}`));
  takeLocks(settings, log);
  const system = new MailSystem(settings, target, sink, {
    clock: systemClock, exit, environment: process.env, verbose: options.verbose,
  });
  process.title = 'master -w';
  detach(options);
  tryOr(() => system.start(), (error) => log.fatal(error.message));
  system.log.info(`daemon started -- version ${settings.version}, configuration ${settings.config.directory}`);
  if (options.debug || process.env['MAIL_DEBUG'] !== undefined) system.log.warning('debugger_command is not part of this release: option -D is ignored');
  listenToSignals(system);
  reportReady();
  closeSync(screen);
  systemClock.after(settled, trimMemory, true);
  if (options.exitTime !== undefined) systemClock.after(options.exitTime * 1000, () => { system.log.info('master exit time has arrived'); end(system); });
  return undefined;
}

function loadSettings(options: MasterOptions, early: Log): MasterSettings {
  try {
    if (options.configDirectory !== undefined) process.env['MAIL_CONFIG'] = options.configDirectory;
    return masterSettings(Configuration.load(configDirectory(options.configDirectory), { warn: (text) => early.warning(text) }));
  } catch (error) {
    return early.fatal((error as Error).message);
  }
}

function tryOr<T>(attempt: () => T, failed: (error: Error) => T): T {
  try {
    return attempt();
  } catch (error) {
    return failed(error as Error);
  }
}

/** Both stay open, and so locked, until the process ends. */
function takeLocks(settings: MasterSettings, log: Log): void {
  tryOr(() => {
    takeMasterLock(pidFile, process.pid);
    asUser(settings.owner, () => takeMasterLock(`${settings.dataDirectory}/master.lock`, process.pid));
  }, (error) => log.fatal(error.message));
}

const signalNumbers = { SIGINT: 2, SIGQUIT: 3, SIGTERM: 15 } as const;

function listenToSignals(system: MailSystem): void {
  ignoreDebugSignal();
  process.on('SIGPIPE', () => undefined);
  process.on('SIGHUP', () => void system.reload());
  let stopping = false;
  for (const [signal, number] of Object.entries(signalNumbers)) {
    process.on(signal, () => {
      if (stopping) return;
      stopping = true;
      system.log.info(`terminating on signal ${number}`);
      void system.stop().then(() => end(system));
    });
  }
  // Whatever goes wrong in here, the daemons and their sockets live on.
  const survive = (error: unknown): void => system.log.error(`unexpected: ${(error as Error | undefined)?.stack?.replaceAll('\n', ' ') ?? String(error)}`);
  process.on('uncaughtException', survive);
  process.on('unhandledRejection', survive);
}

function end(system: MailSystem): never {
  system.flush();
  return exit(0);
}

/** Let go of the terminal, before there are children that would hold it: whoever waits for its end would wait for theirs. */
function detach({ detach: wanted, keepStdout, init, debug }: MasterOptions): void {
  if (!wanted) return;
  for (const fd of keepStdout ? [0, 2] : [0, 1, 2]) {
    closeSync(fd);
    if (openSync('/dev/null', 'r+') !== fd) throw new Error('panic: /dev/null opened as another descriptor');
  }
  if (!init && !debug && !keepStdout) startSession();
}

function reportReady(): void {
  const fd = readyDescriptor();
  if (fd === undefined) return;
  writeSync(fd, 'r');
  closeSync(fd);
}
