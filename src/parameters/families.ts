// Parameters that exist once per transport: `<transport><suffix>`, where a transport is the name of a master.cf row.
// Each falls back to the default that holds for all transports, but for the few that have a value of their own.
// Pure; a name that belongs to no family is `undefined`, never an error.

import type { Card, ValueOfKind } from './card.ts';
import { cardOf, parameters } from './parameters.ts';
import type { ParameterName } from './parameters.ts';

/** The suffix, and the parameter that holds where the transport sets nothing. */
const schedulerSuffixes = {
  _recipient_limit: 'default_recipient_limit',
  _extra_recipient_limit: 'default_extra_recipient_limit',
  _recipient_refill_limit: 'default_recipient_refill_limit',
  _recipient_refill_delay: 'default_recipient_refill_delay',
  _delivery_slot_cost: 'default_delivery_slot_cost',
  _delivery_slot_loan: 'default_delivery_slot_loan',
  _delivery_slot_discount: 'default_delivery_slot_discount',
  _minimum_delivery_slots: 'default_minimum_delivery_slots',
  _initial_destination_concurrency: 'initial_destination_concurrency',
  _destination_concurrency_limit: 'default_destination_concurrency_limit',
  _destination_recipient_limit: 'default_destination_recipient_limit',
  _destination_concurrency_positive_feedback: 'default_destination_concurrency_positive_feedback',
  _destination_concurrency_negative_feedback: 'default_destination_concurrency_negative_feedback',
  _destination_concurrency_failed_cohort_limit: 'default_destination_concurrency_failed_cohort_limit',
  _destination_rate_delay: 'default_destination_rate_delay',
  _transport_rate_delay: 'default_transport_rate_delay',
} as const satisfies { [suffix: string]: ParameterName };

const commandSuffixes = { _time_limit: 'command_time_limit' } as const satisfies { [suffix: string]: ParameterName };

const suffixes = { ...schedulerSuffixes, ...commandSuffixes } as const;

export type TransportSuffix = keyof typeof suffixes;
export type TransportValue<S extends TransportSuffix> = ValueOfKind<(typeof parameters)[(typeof suffixes)[S]]['kind']>;

/** Which suffixes a row of master.cf has, by the program it runs. */
export const suffixesOfProgram: ReadonlyMap<string, readonly TransportSuffix[]> = new Map([
  ...['local', 'error', 'virtual', 'smtp', 'lmtp'].map((program) => [program, suffixNames(schedulerSuffixes)] as const),
  ['pipe', suffixNames(suffixes)] as const,
  ['spawn', suffixNames(commandSuffixes)] as const,
]);

/** A delivery to the account of one recipient touches one mailbox: these do not follow the common defaults. */
const ownDefaults: ReadonlyMap<string, string> = new Map([
  ['local_destination_concurrency_limit', '2'],
  ['local_destination_recipient_limit', '1'],
]);

/** The names of the families that have a default of their own, whatever master.cf says. */
export const familyNamesWithOwnDefault: readonly string[] = [...ownDefaults.keys()];

export interface FamilyMember {
  readonly transport: string;
  readonly suffix: TransportSuffix;
  /** The parameter whose value holds when the transport sets nothing. */
  readonly fallback: ParameterName;
  /** Kind and limits of the fallback, default text of the member. */
  readonly card: Card;
}

/** The member that this transport has of that family. */
export function familyMember(transport: string, suffix: TransportSuffix): FamilyMember {
  const fallback = suffixes[suffix];
  const text = ownDefaults.get(transport + suffix) ?? `$${fallback}`;
  return { transport, suffix, fallback, card: { ...limitsOf(fallback), default: text } };
}

/** Reads a name as transport and suffix; the longest suffix that fits is meant. */
export function splitFamilyName(name: string): FamilyMember | undefined {
  let found: TransportSuffix | undefined;
  for (const suffix of suffixNames(suffixes)) {
    if (name.length > suffix.length && name.endsWith(suffix) && suffix.length > (found?.length ?? 0)) found = suffix;
  }
  return found && familyMember(name.slice(0, -found.length), found);
}

function suffixNames<T extends object>(of: T): (keyof T & string)[] {
  return Object.keys(of) as (keyof T & string)[];
}

function limitsOf(name: ParameterName): Card {
  const { kind, min, max, minLength, maxLength } = cardOf(name) as Card;
  return { kind, min, max, minLength, maxLength, default: '' };
}
