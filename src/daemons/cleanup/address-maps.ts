/**
 * What canonical tables, masquerading and BCC tables do with the addresses of a message, by the place where an address stands.
 *
 * Opened once for the service; undefined where main.cf has none of them, and then mail takes no detour. A table that cannot be asked makes the
 * message wait (cleanup status `write`), after a line in the log.
 */
import type { Configuration } from '../../config/configuration.ts';
import { ConfigurationError } from '../../config/configuration-error.ts';
import { cleanupStatus } from '../../ipc/cleanup.ts';
import { quote822Local, unquote822Local } from '../../message/address.ts';
import type { AddressStep } from '../../message/header-addresses.ts';
import { mapOneToOne, type AddressMapping } from '../../tables/address-mapping.ts';
import { listed, matchSources } from '../../tables/lists.ts';
import { addressTableSearch, findAddress, type AddressRules } from '../../tables/mail-address-find.ts';
import { openMaps, type Maps } from '../../tables/maps.ts';
import { TableTrouble, type TableContext } from '../../tables/table.ts';
import { stringList } from '../../text/match-list.ts';
import { chain, isPending, type MaybePromise } from '../../text/maybe.ts';
import { parseNameMask, type NameTable } from '../../text/name-mask.ts';
import { masquerade, masqueradeDomains, type Masquerade } from './masquerade.ts';
import type { MessageState } from './state.ts';

/** Where an address stands: a place of canonical_classes and masquerade_classes. */
export type AddressPlace = 'envelope_sender' | 'envelope_recipient' | 'header_sender' | 'header_recipient';

/** An address in external form to what it becomes; undefined: it stays. Trouble is told to the state. */
type MappedStep = (state: MessageState, address: string) => MaybePromise<string | undefined>;

export interface AddressMaps {
  /** Undefined: addresses in this place stay as they are. */
  steps(place: AddressPlace): readonly MappedStep[] | undefined;
  readonly senderBcc: BccSearch | undefined;
  readonly recipientBcc: BccSearch | undefined;
}

/** The address that gets a copy, as the table has it (it counts as internal form); undefined: none does. */
export type BccSearch = (state: MessageState, address: string) => MaybePromise<string | undefined>;

export interface AddressMapsSetup {
  readonly config: Configuration;
  readonly tables: TableContext;
  readonly rules: AddressRules;
  /** Is this word in propagate_unmatched_extensions? */
  propagates(use: string): boolean;
  /** An address in external form, made complete. */
  complete(address: string): MaybePromise<string>;
  readonly log: { info(text: string): void; warning(text: string): void };
}

const places = ['envelope_sender', 'envelope_recipient', 'header_sender', 'header_recipient'] as const;
const senderPlaces = ['envelope_sender', 'header_sender'] as const;
const recipientPlaces = ['envelope_recipient', 'header_recipient'] as const;

/** The tables in the order in which they are asked: the special ones before the common one. */
const canonicalTables = [
  { maps: 'sender_canonical_maps', classes: 'sender_canonical_classes', known: senderPlaces },
  { maps: 'recipient_canonical_maps', classes: 'recipient_canonical_classes', known: recipientPlaces },
  { maps: 'canonical_maps', classes: 'canonical_classes', known: places },
] as const;

/** Undefined: main.cf has none. Throws ConfigurationError for an unknown class. */
export function openAddressMaps(setup: AddressMapsSetup): AddressMaps | undefined {
  const steps = new Map<AddressPlace, MappedStep[]>();
  const add = (where: ReadonlySet<AddressPlace>, step: MappedStep): void => {
    for (const place of where) steps.set(place, [...(steps.get(place) ?? []), step]);
  };
  for (const { maps, classes, known } of canonicalTables) {
    // A class that is unknown is wrong also where no table is.
    const where = placesOf(setup.config, classes, known, 'canonical_classes');
    const opened = openMaps(setup.config.text(maps), setup.tables, maps);
    if (!opened.isEmpty) add(where, canonicalStep(setup, opened));
  }
  const hides = placesOf(setup.config, 'masquerade_classes', places, 'masquerade_classes');
  const domains = masqueradeDomains(setup.config.get('masquerade_domains'));
  if (domains.length > 0) add(hides, masqueradeStep(setup, { domains, isExcepted: exceptions(setup) }));
  const senderBcc = bccSearch('sender_bcc_maps', setup);
  const recipientBcc = bccSearch('recipient_bcc_maps', setup);
  if (steps.size === 0 && !senderBcc && !recipientBcc) return undefined;
  return { steps: (place) => steps.get(place), senderBcc, recipientBcc };
}

function placesOf(config: Configuration, parameter: string, known: readonly AddressPlace[], title: string): ReadonlySet<AddressPlace> {
  const table: NameTable = known.map((name) => [name, 1 << places.indexOf(name)]);
  const parsed = parseNameMask(title, table, config.text(parameter), { exactCase: true });
  if ('error' in parsed) throw new ConfigurationError(parsed.error, undefined, `${parameter} knows ${known.join(', ')}`);
  return new Set(known.filter((name) => parsed.mask & (1 << places.indexOf(name))));
}

function canonicalStep({ rules, propagates, complete, log }: AddressMapsSetup, maps: Maps): MappedStep {
  const mapping: AddressMapping = { maps, rules, propagates: propagates('canonical'), complete, warn: (text) => log.warning(text) };
  return (state, address) => {
    const warn = (text: string): void => log.warning(`${state.queueId}: ${text}`);
    return orWait(state, () => mapOneToOne(mapping, address, warn), () => warn(`${maps.title} map lookup problem for ${address} -- message not accepted, try again later`));
  };
}

function masqueradeStep({ log }: AddressMapsSetup, hiding: Masquerade): MappedStep {
  return (state, address) => orWait(state, () => masquerade(hiding, address), (error) => {
    log.warning(error.message);
    log.info(`${state.queueId}: masquerade_exceptions map lookup problem -- message not accepted, try again later`);
  });
}

function exceptions({ config, tables }: AddressMapsSetup): Masquerade['isExcepted'] {
  const text = config.get('masquerade_exceptions');
  if (text === '') return undefined;
  const list = stringList('masquerade_exceptions', text, matchSources(tables));
  return (local) => listed(list, local);
}

function bccSearch(name: string, { config, tables, rules, log }: AddressMapsSetup): BccSearch | undefined {
  const maps = openMaps(config.text(name), tables, name);
  if (maps.isEmpty) return undefined;
  return (state, address) => orWait(state, () => chain(findAddress(maps, address, addressTableSearch, rules), (match) => match?.value),
    () => log.warning(`${state.queueId}: ${name} map lookup problem -- message not accepted, try again later`));
}

/** A table's trouble makes the message wait; the address stays as it is. */
function orWait(state: MessageState, ask: () => MaybePromise<string | undefined>, tell: (error: TableTrouble) => void): MaybePromise<string | undefined> {
  const failed = (error: unknown): undefined => {
    if (!(error instanceof TableTrouble)) throw error;
    tell(error);
    state.refuse(cleanupStatus.write);
  };
  try {
    const answer = ask();
    return isPending(answer) ? answer.catch(failed) : answer;
  } catch (error) {
    return failed(error);
  }
}

/** An envelope address (internal form) after the tables of its place. */
export function mappedEnvelope(maps: AddressMaps, place: AddressPlace, state: MessageState, address: string): MaybePromise<string> {
  const steps = maps.steps(place);
  if (steps === undefined) return address;
  const from = (at: number, current: string): MaybePromise<string> => {
    const step = steps[at];
    if (step === undefined) return current;
    return chain(step(state, quote822Local(current)), (result) => from(at + 1, result === undefined ? unquote822Local(quote822Local(current)) : unquote822Local(result)));
  };
  return from(0, address);
}

/** The steps of a header's addresses; undefined: there are none. */
export function headerSteps(maps: AddressMaps, isSender: boolean, state: MessageState): readonly AddressStep[] | undefined {
  const steps = maps.steps(isSender ? 'header_sender' : 'header_recipient');
  return steps?.map((step) => (address) => step(state, address));
}
