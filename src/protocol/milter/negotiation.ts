/** The first words with a filter: which version, which edits it may ask for, which steps it wants to hear of, and which macros. */
import { allActions, allSteps, command, macroStages, step, versions, type MacroStage } from './codes.ts';
import { splitList } from '../../text/ascii.ts';
import { Fields, number32, packet } from './packet.ts';

export interface Offer {
  readonly version: number;
  /** Steps and abilities that we offer. */
  readonly steps: number;
}

export interface Agreement {
  readonly version: number;
  readonly actions: number;
  /** Flags of the filter's: what it leaves out, does not answer, or wants in addition. */
  readonly steps: number;
  /** Steps that are not in its version: never sent. */
  readonly unknownSteps: number;
  /** Macro lists of its own. */
  readonly macros: ReadonlyMap<MacroStage, string>;
  readonly warnings: readonly string[];
}

/** milter_protocol: one version, and extensions. A text is the trouble with it. */
export function offerOf(protocol: string): Offer | string {
  let version = 0;
  let steps = 0;
  for (const word of splitList(protocol)) {
    const known = versions.find(([number]) => String(number) === word);
    if ((known === undefined && word !== 'no_header_reply') || (known !== undefined && version !== 0)) return `bad protocol information: ${word}`;
    if (known === undefined) steps |= step.silentHeader;
    else [version, steps] = [known[0], steps | known[1]];
  }
  return version === 0 ? 'no protocol version information' : { version, steps };
}

export function offerPacket({ version, steps }: Offer): Buffer {
  return packet(command.negotiate, number32(version), number32(allActions), number32(steps));
}

/** What the filter makes of the offer. A text is the trouble with it. */
export function agreementOf(offer: Offer, bytes: Buffer): Agreement | string {
  const fields = new Fields(bytes);
  const version = fields.number32();
  const actions = fields.number32();
  const steps = fields.number32();
  if (fields.trouble !== undefined) return fields.trouble;
  if (version > offer.version) return `protocol version ${version} conflict with MTA protocol version ${offer.version}`;
  if ((actions & ~allActions) !== 0) return `request mask 0x${actions.toString(16)} conflict with MTA request mask 0x${allActions.toString(16)}`;
  const warnings: string[] = [];
  const known = versions.find(([number]) => number <= version);
  if (known === undefined) warnings.push(`unexpected protocol version ${version}`);
  const unknownSteps = (allSteps & ~offer.steps) | (allSteps & ~(known?.[1] ?? 0));
  const macros = macroListsOf(fields, warnings);
  return fields.trouble ?? { version, actions, steps, unknownSteps, macros, warnings };
}

function macroListsOf(fields: Fields, warnings: string[]): Map<MacroStage, string> {
  const macros = new Map<MacroStage, string>();
  while (fields.left > 0) {
    const number = fields.number32();
    const list = fields.text();
    if (fields.trouble !== undefined) break;
    const stage = macroStages[number];
    if (stage === undefined) warnings.push(`ignoring unknown macro type ${number}`);
    else macros.set(stage, list);
  }
  return macros;
}
