/**
 * Mail to and from the sender of our own address probes: restrictions have nothing to say about it. Else two hosts that verify each other's
 * addresses could refuse each other's probes, and remember the refusal. address_verify_sender, postconf(5).
 */
import { rewriteService } from '../../ipc/rewrite.ts';
import { ServiceTrouble } from '../../ipc/service.ts';
import { quote822Local, unquote822Local } from '../../message/address.ts';
import { isProbeSender } from '../../message/probe-sender.ts';
import type { Tools } from '../../server/daemon.ts';
import { startsIgnoringCase } from '../../text/ascii.ts';
import { isPending, type MaybePromise } from '../../text/maybe.ts';

const parameters = ['address_verify_sender', 'address_verify_sender_ttl', 'rewrite_service_name'] as const;

/** Answers the address in full form and without the part that changes with time; undefined: it is somebody else's. */
export type ProbeSenderOf = (address: string) => MaybePromise<string | undefined>;

export function openProbeSender({ config, services, clock }: Pick<Tools, 'config' | 'services' | 'clock'>): ProbeSenderOf {
  const { address_verify_sender: sender, address_verify_sender_ttl: life, rewrite_service_name: service } = config.view(parameters);
  if (sender === '' || sender === '<>') return () => undefined;
  const local = sender.split('@', 1)[0]!;
  let full: string | undefined;
  const matched = (address: string, known: string): string | undefined =>
    isProbeSender(address, known, { sender, life }, Math.floor(clock.now() / 1000)) ? known : undefined;
  const completed = async (address: string): Promise<string | undefined> => {
    try {
      const reply = services.connect(rewriteService, service).rewrite({ rule: 'local', address: quote822Local(sender) });
      full = unquote822Local((isPending(reply) ? await reply : reply).address);
      return matched(address, full);
    } catch (error) {
      if (error instanceof ServiceTrouble) return undefined;
      throw error;
    }
  };
  return (address) => {
    if (!startsIgnoringCase(address, local)) return undefined;
    return full === undefined ? completed(address) : matched(address, full);
  };
}
