/** Where an address goes, for the restriction at hand. Trouble with the tables behind that defers the command. */
import { TableTrouble } from '../../../tables/table.ts';
import { isPending, type MaybePromise } from '../../../text/maybe.ts';
import type { Resolved } from './resolver.ts';
import { tableFailure, type AccessSetup } from './setup.ts';
import type { AccessState, Decision } from './state.ts';

/** @param side which end of the mail the address is: routing may depend on the other end, who is the sender then */
export function resolveAddress(
  setup: AccessSetup, state: AccessState, side: 'sender' | 'recipient', address: string, next: (route: Resolved) => MaybePromise<Decision>,
): MaybePromise<Decision> {
  let route: MaybePromise<Resolved>;
  try {
    route = setup.tools.resolve((side === 'sender' ? state.recipient : state.sender) ?? '', address);
  } catch (error) {
    return failed(error, setup, state, address);
  }
  return isPending(route) ? route.then((late) => ({ late }), (error: unknown) => ({ decision: failed(error, setup, state, address) }))
    .then((outcome) => ('late' in outcome ? next(outcome.late) : outcome.decision)) : next(route);
}

function failed(error: unknown, setup: AccessSetup, state: AccessState, address: string): Decision {
  if (error instanceof TableTrouble) return tableFailure(setup, state, address);
  throw error;
}
