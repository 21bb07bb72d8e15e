/**
 * The running mail system: configuration, sockets and processes of this moment, and how they change over reload and stop.
 *
 * A reload that cannot be followed (main.cf or master.cf not readable) changes nothing and says why. A socket that stays is
 * never closed, so no client is refused meanwhile.
 */
import { closeSync } from 'node:fs';
import { Configuration } from '../../config/configuration.ts';
import { configuredLog } from '../../config/log-target.ts';
import type { MasterRow } from '../../config/master-cf.ts';
import { allowOpenFiles } from '../../host/process.ts';
import { createLog, type Exit, type Log, type LogSink } from '../../log/log.ts';
import { parseLogLine } from '../../log/line.ts';
import { FileSink } from '../../log/sinks.ts';
import { sinkOf, type LogTarget } from '../../log/target.ts';
import type { Clock } from '../../server/clock.ts';
import { writeSendmailSocket } from '../../server/sendmail-socket.ts';
import { Crews } from './crews.ts';
import { endpointKey, endpointsOf, type Endpoint } from './endpoints.ts';
import { importedEnvironment } from './environment.ts';
import { Listeners } from './listeners.ts';
import { place, rowKey, type Candidate } from './placement.ts';
import { readServices } from './services.ts';
import { masterSettings, type MasterSettings } from './settings.ts';
import { Wakeups } from './wakeups.ts';

export interface MailSystemOptions {
  readonly clock: Clock;
  readonly exit: Exit;
  readonly environment: NodeJS.ProcessEnv;
  readonly verbose: number;
}

/** Milliseconds for processes to end when the mail system stops; "postfix stop" has a little more patience. */
const stopPatience = 3500;
/** Milliseconds that a further reload waits for the processes of the one before. */
const startPatience = 10_000;
/** Descriptors that a process may want besides one for each client. */
const moreFiles = 4096;
/** Milliseconds until a socket that could not be had during a reload is tried again. */
const retryPause = 1000;

export class MailSystem {
  readonly #options: MailSystemOptions;
  readonly #crews: Crews;
  readonly #wakeups: Wakeups;
  readonly #listeners: Listeners;
  readonly #apart = new Set<string>();
  readonly #sockets = new Map<string, readonly number[]>();
  #settings: MasterSettings;
  #target: LogTarget;
  #sink: LogSink;
  #log: Log;
  #candidates: Candidate[] = [];
  #generation = 0;
  #stopped = false;
  #reloading = false;
  #reloadAgain = false;

  constructor(settings: MasterSettings, target: LogTarget, sink: LogSink, options: MailSystemOptions) {
    this.#options = options;
    this.#settings = settings;
    this.#target = target;
    this.#sink = sink;
    this.#log = masterLog(sink, settings, options.exit);
    this.#listeners = new Listeners(settings.owner, settings.config.get('tcp_windowsize'));
    this.#wakeups = new Wakeups(options.clock, (key) => this.#crews.wake(key));
    this.#crews = new Crews(options.clock, {
      used: (key) => this.#wakeups.used(key),
      apart: (key) => this.#placeApart(key),
    });
  }

  get log(): Log {
    return this.#log;
  }

  /** Hand over every log line; before the process ends. */
  flush(): void {
    this.#sink.flush();
  }

  /** Make the sockets and start what has to be there. Throws when a socket cannot be had. */
  start(): void {
    this.#candidates = readServices(this.#settings, this.#apart, this.#log);
    for (const candidate of this.#candidates) this.#listen(candidate, (error) => { throw error; }, (endpoint) => this.#listeners.wantPatiently(endpoint));
    this.#serve();
  }

  async reload(): Promise<void> {
    if (this.#stopped) return;
    if (this.#reloading) {
      this.#reloadAgain = true;
      return;
    }
    this.#reloading = true;
    do {
      this.#reloadAgain = false;
      await this.#reload();
      // One generation at a time: with requests that come faster than processes can start, none would ever serve.
      await this.#crews.settled(startPatience);
    } while (this.#reloadAgain && !this.#stopped);
    this.#reloading = false;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#wakeups.stop();
    await this.#crews.stop(stopPatience);
  }

  async #reload(): Promise<void> {
    const { directory } = this.#settings.config;
    this.#log.info(`reload -- version ${this.#settings.version}, configuration ${directory}`);
    let settings: MasterSettings;
    let candidates: Candidate[];
    try {
      settings = this.#unchangeable(masterSettings(Configuration.load(directory, { warn: (text) => this.#log.warning(text) })));
      this.#reopenLog(settings);
      this.#apart.clear();
      candidates = readServices(settings, this.#apart, this.#log);
    } catch (error) {
      this.#log.warning(`${(error as Error).message} -- keeping the configuration that was loaded before`);
      return;
    }
    this.#settings = settings;
    this.#candidates = candidates;
    this.#crews.unwatch();
    await new Promise((resolve) => setImmediate(resolve));
    this.#relisten();
    this.#serve();
  }

  /** What a running mail system cannot change, in Postfix's words. */
  #unchangeable(settings: MasterSettings): MasterSettings {
    const { queueDirectory } = this.#settings;
    if (settings.queueDirectory === queueDirectory) return settings;
    this.#log.warning('ignoring queue_directory parameter value change');
    this.#log.warning(`old value: "${queueDirectory}", new value: "${settings.queueDirectory}"`);
    this.#log.warning('to change queue_directory, stop and start Postfix');
    const config = settings.config.withOverrides([['queue_directory', queueDirectory]]);
    return { ...settings, config, queueDirectory };
  }

  #reopenLog(settings: MasterSettings): void {
    const before = this.#target;
    this.#target = configuredLog(settings.config);
    this.#sink.flush();
    this.#sink = sinkOf(this.#target);
    this.#log = masterLog(this.#sink, settings, this.#options.exit);
    if (before.kind === 'descriptor' && before.fd > 2) this.#options.clock.after(1000, () => closeSync(before.fd));
  }

  #relisten(): void {
    const wanted = new Set<string>();
    for (const { row } of this.#candidates) {
      try {
        for (const endpoint of endpointsOf(row, this.#settings.endpoints)) wanted.add(endpointKey(endpoint));
      } catch {
        // said below
      }
    }
    this.#listeners.keepOnly(wanted);
    this.#sockets.clear();
    for (const candidate of this.#candidates) this.#listen(candidate, (error) => this.#listenLater(candidate, error));
  }

  /** A row that names no possible endpoint is reported and left out; one that cannot be had now is the caller's matter. */
  #listen(candidate: Candidate, failed: (error: Error) => void, want = (endpoint: Endpoint): number => this.#listeners.want(endpoint)): void {
    const { row } = candidate;
    let endpoints;
    try {
      endpoints = endpointsOf(row, this.#settings.endpoints);
    } catch (error) {
      this.#log.error(`${row.file}: line ${row.line}: ${(error as Error).message} -- service "${row.service}" is not started`);
      return;
    }
    try {
      this.#sockets.set(rowKey(row), endpoints.map(want));
    } catch (error) {
      failed(error as Error);
    }
  }

  /** The old owner of an address may take a moment to let go of it. */
  #listenLater(candidate: Candidate, error: Error): void {
    const { row } = candidate;
    this.#log.error(`${row.file}: line ${row.line}: service "${row.service}": ${error.message} -- trying again`);
    const generation = this.#generation + 1;
    const again = (): void => {
      if (this.#generation !== generation || this.#stopped) return;
      this.#listen(candidate, () => this.#options.clock.after(retryPause, again));
      if (this.#sockets.has(rowKey(row))) this.#placeApart(rowKey(row), false);
    };
    this.#options.clock.after(retryPause, again);
  }

  #serve(): void {
    const settings = this.#settings;
    allowOpenFiles(settings.placement.serviceClientLimit + moreFiles);
    this.#generation++;
    const served = this.#candidates.filter(({ row }) => this.#sockets.has(rowKey(row)));
    this.#crews.replace(place(served, settings.placement), {
      number: this.#generation, settings, log: this.#log, logTo: this.#target, sockets: this.#sockets,
      environment: importedEnvironment(settings.importEnvironment, this.#options.environment),
      verbose: this.#options.verbose, passLines: (lines) => this.#passLines(lines),
    });
    this.#wakeups.reset(this.#rows(served));
    writeSendmailSocket(settings.config, settings.queueDirectory, settings.owner.uid, this.#log);
  }

  /** From a process of before: the log may have become another since. */
  #passLines(lines: string): void {
    if (this.#sink instanceof FileSink) return this.#sink.pass(lines);
    for (const line of lines.split('\n')) {
      const { tag, number, text } = parseLogLine(line) ?? { tag: `${this.#settings.syslogName}/master`, number: process.pid, text: line };
      if (text !== '') this.#sink.write('info', tag, number, text);
    }
  }

  #rows(candidates: readonly Candidate[]): MasterRow[] {
    return candidates.map(({ row }) => row);
  }

  /** A row that brought trouble to its group gets a process of its own, until the next reload. */
  #placeApart(key: string, throttled = true): void {
    this.#apart.add(key);
    const alone = this.#candidates.filter(({ row }) => rowKey(row) === key).map((candidate) => ({ ...candidate, apart: true }));
    for (const placement of place(alone, this.#settings.placement)) this.#crews.add(placement, throttled);
  }
}

export function masterLog(sink: LogSink, settings: MasterSettings, exit: Exit): Log {
  return createLog(sink, `${settings.syslogName}/master`, process.pid, exit);
}
