/** The log that main.cf asks for. Throws an Error that says what is in the way. */
import { openLogTarget, type LogTarget } from '../log/target.ts';
import type { Configuration } from './configuration.ts';

export function configuredLog(config: Configuration): LogTarget {
  return openLogTarget({
    file: config.get('maillog_file'), prefixes: config.get('maillog_file_prefixes'), permissions: config.get('maillog_file_permissions'),
    facility: config.get('syslog_facility'), hostname: config.get('myhostname'),
  });
}
