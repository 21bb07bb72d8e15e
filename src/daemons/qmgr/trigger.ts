/** The letters that wake the queue manager (qmgr_user.h): each asks for one thing. Unknown ones mean nothing. */
export interface Wakeable {
  /** New mail may be in incoming. */
  scanIncoming(): void;
  /** Deferred mail may be due. */
  scanDeferred(): void;
  /** The next scans take mail whether it is due or not. */
  ignoreTimes(): void;
  /** Dead destinations are tried again. */
  revive(): void;
  /** Messages in the journal become files: somebody wants to see them there. */
  file(): void;
}

type Ask = (manager: Wakeable) => void;

const asks: ReadonlyMap<string, Ask> = new Map<string, Ask>([
  ['F', (manager) => manager.revive()],
  ['A', (manager) => manager.ignoreTimes()],
  // Ours: postsuper works on files.
  ['J', (manager) => manager.file()],
  ['D', (manager) => manager.scanDeferred()],
  ['I', (manager) => manager.scanIncoming()],
  ['W', (manager) => manager.scanIncoming()],
]);

/** Flags hold for the whole request, so they are heard before the scans, in whatever order the letters stand. */
export function serveTrigger(manager: Wakeable, request: string): void {
  for (const [letter, ask] of asks) if (request.includes(letter)) ask(manager);
}
