/**
 * The mail log as a program without rights of its own reaches it: the file when it may, else the postlog service, else nothing.
 *
 * A line goes out at once. Never throws: what cannot be followed in main.cf is told once by `warn`.
 */
import { closeSync, writeSync } from 'node:fs';
import type { Configuration } from '../../config/configuration.ts';
import { configuredLog } from '../../config/log-target.ts';
import { connectDatagram } from '../../host/sockets.ts';
import type { LogSink, Severity } from '../../log/log.ts';
import { sinkOf } from '../../log/target.ts';
import { fileTime } from '../../log/timestamp.ts';

export function openMailLog(config: Configuration, warn: (text: string) => void): LogSink {
  try {
    return sinkOf(configuredLog(config), 'command');
  } catch (error) {
    const service = config.get('maillog_file') === '' ? undefined : ServiceSink.open(config);
    if (service === undefined) warn((error as Error).message);
    return service ?? { write: () => undefined, flush: () => undefined };
  }
}

/** Lines for the postlog service: as they would stand in the file, one in a datagram. */
class ServiceSink implements LogSink {
  readonly #fd: number;
  readonly #hostname: string;

  private constructor(fd: number, hostname: string) {
    this.#fd = fd;
    this.#hostname = hostname;
  }

  static open(config: Configuration): ServiceSink | undefined {
    try {
      const fd = connectDatagram(`${config.get('queue_directory')}/public/${config.get('postlog_service_name')}`);
      process.on('exit', () => closeSync(fd));
      return new ServiceSink(fd, config.get('myhostname').split('.', 1)[0] || 'amnesiac');
    } catch {
      return undefined;
    }
  }

  write(_severity: Severity, tag: string, number: number, text: string): void {
    const line = Buffer.from(`${fileTime(Date.now())} ${this.#hostname} ${tag}[${number}]: ${text}`, 'latin1');
    for (let left = attempts; left > 0; left--) {
      try {
        writeSync(this.#fd, line);
        return;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return;
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, pause);
      }
    }
  }

  flush(): void {}
}

/** The service's queue may be full for a moment: how often to ask, and milliseconds between two times. */
const attempts = 200;
const pause = 10;
