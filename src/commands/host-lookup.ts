/** Name service for commands that seldom need it: what it takes is loaded with this file. */
import { HostsFile } from '../network/hosts-file.ts';
import { lookupNative, type NativeAnswer } from '../network/native-lookup.ts';
import { Resolver } from '../network/resolver.ts';
import type { Ticker } from '../network/ticker.ts';

/** Time by Node's own timers. */
export const processTicker: Ticker = {
  monotonic: () => performance.now(),
  after: (milliseconds, run) => {
    const timer = setTimeout(run, milliseconds);
    return { cancel: () => clearTimeout(timer) };
  },
};

/** Never rejects; trouble has getaddrinfo(3)'s words. */
export function lookupHost(host: string): Promise<NativeAnswer> {
  const resolver = new Resolver({ ticker: processTicker, warn: () => {} });
  return lookupNative(host, new HostsFile('/etc/hosts', processTicker), resolver);
}
