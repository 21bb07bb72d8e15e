/**
 * Lines in the log where a request passes because of a default that changed with a compatibility level (postconf(5)), so that the
 * administrator can keep the old setting before the level is raised. They never change a decision.
 */
import type { ChangedDefault } from '../../../config/old-defaults.ts';
import { oldDefaultText } from '../../../config/old-defaults.ts';
import { chain, type MaybePromise } from '../../../text/maybe.ts';
import type { AccessSetup } from './setup.ts';
import type { AccessState } from './state.ts';

export interface OldDefaults {
  readonly names: ReadonlySet<ChangedDefault>;
  /** The value of mynetworks_style. */
  readonly style: string;
  /** Is the client in mynetworks with the new mynetworks_style? */
  isOwnHost(name: string, address: string): MaybePromise<boolean>;
}

export function noteOldDefault({ old }: AccessSetup, state: AccessState, name: ChangedDefault, setting: string, use: string): void {
  if (old?.names.has(name)) state.log.info(oldDefaultText(setting, use));
}

/** mynetworks had the client. */
export function noteMyNetwork({ old }: AccessSetup, { client, log }: AccessState): MaybePromise<void> {
  if (!old?.names.has('mynetworks_style')) return undefined;
  return chain(old.isOwnHost(client.name, client.address), (isHost) => {
    if (!isHost) log.info(oldDefaultText(`mynetworks_style=${old.style}`, `to permit request from client "${client.label}"`));
  });
}
