/** $user, $home, ... in forward_path, luser_relay and command_execution_directory (local(8), ADDRESS EXTENSION and the parameters). */
import { expand } from '../../config/expand.ts';
import type { Position, User, Work } from './work.ts';

export interface Expanded {
  readonly text: string;
  /** A name without a value was used. */
  readonly incomplete: boolean;
  /** The address extension is part of the text. */
  readonly usesExtension: boolean;
}

/** Throws ExpansionError. Bytes of values that are not in `filter` become `_`. */
export function expandFor(pattern: string, work: Work, position: Position, user: User, filter?: string): Expanded {
  const values: ReadonlyMap<string, string | undefined> = new Map([
    ['user', position.user], ['home', user.home], ['shell', user.shell], ['domain', position.domain], ['local', position.local],
    ['mailbox', position.local], ['recipient', position.recipient.address], ['extension', position.extension],
    ['recipient_delimiter', position.delimiter || work.settings.view.recipient_delimiter.slice(0, 1) || undefined],
  ]);
  let incomplete = false;
  let usesExtension = false;
  const lookup = (name: string, tested: boolean): string | undefined => {
    const value = values.get(name);
    if (!tested && value === undefined) incomplete = true;
    if (!tested && name === 'extension') usesExtension = true;
    return value;
  };
  const text = expand(pattern, { lookup, filter });
  return { text, incomplete, usesExtension };
}
