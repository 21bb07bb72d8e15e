/**
 * Texts that are written to many peers in one turn of the event loop leave together, with one system call (send-ring.ts): a server
 * with many clients is not put aside for each of them between two commands, and they find several answers when they wake. Where there is
 * no such call nothing waits here.
 */
import { ringEntries, SendRing, unknown } from './send-ring.ts';
import { leavesThisTurn } from './turn.ts';

export interface Sender {
  /** What was to leave with the turn has not: write it. */
  sendNow(text: string): void;
  /** The kernel has it all. */
  sent(): void;
  /** What the kernel has of it nobody knows. */
  lost(): void;
}

/** Bytes of the longest text. */
const longest = 4096;
/** Fewer texts than this are quicker one by one. */
export const worthwhile = 3;

interface Send { readonly sender: Sender; readonly fd: number; readonly text: string }

let ring: SendRing | undefined;
let isTried = false;
let sends: Send[] = [];

/** False: it does not leave with the turn, and is to be written as ever. `text` is a byte string. */
export function sendWithTurn(sender: Sender, fd: number, text: string): boolean {
  if (!isTried) begin();
  if (ring === undefined || text.length > longest || fd < 0) return false;
  if (sends.length === 0) leavesThisTurn(turn);
  else if (sends.length === ringEntries) flushSends();
  sends.push({ sender, fd, text });
  return true;
}

/** Before the end of the turn: what waits leaves. */
export function flushSends(): void {
  const all = sends;
  if (all.length === 0) return;
  sends = [];
  if (ring !== undefined && all.length >= worthwhile) sendTogether(ring, all);
  else for (const { sender, text } of all) sender.sendNow(text);
}

const turn = { flush: flushSends };

function begin(): void {
  isTried = true;
  process.on('exit', flushSends); // what was said is said, also by a process that ends in this turn
  ring = SendRing.open(ringEntries * longest);
}

function sendTogether(through: SendRing, all: readonly Send[]): void {
  let together = '';
  for (const { fd, text } of all) {
    through.put(fd, together.length, text.length);
    together += text;
  }
  through.bytes.write(together, 0, 'latin1');
  if (!through.submit()) ring = undefined;
  for (let index = 0; index < all.length; index++) told(all[index]!, through.results[index]!);
}

/** What is wrong with a socket its own write will tell. */
function told({ sender, text }: Send, taken: number): void {
  if (taken === text.length) sender.sent();
  else if (taken === unknown) sender.lost();
  else sender.sendNow(taken > 0 ? text.slice(taken) : text);
}
