/**
 * The clients of horde.ts, in a process of their own: each gets as far as its kind goes, and stays there until the process ends.
 *
 * Arguments: port, how many, kind, how many addresses they come from (127.0.1.1 and up). Reports to its parent, whenever something has
 * changed: how many got as far as they wanted, how many were sent away, how many the server has dropped.
 */
import net from 'node:net';

export interface HordeReport { readonly stuck: number; readonly refused: number; readonly dropped: number }

/** What is said behind the greeting, one step for each reply; the last of a kind may be `unread` or `trickle`. */
const scripts: Readonly<Record<string, readonly string[]>> = {
  idle: [],
  trickle: ['EHLO horde.test\r\n'],
  data: ['EHLO horde.test\r\n', 'MAIL FROM:<a@example.test>\r\n', 'RCPT TO:<joe@example.test>\r\n', 'DATA\r\n', 'Subject: slow\r\n\r\n'],
  unread: ['EHLO horde.test\r\n'],
  handshake: ['EHLO horde.test\r\n', 'STARTTLS\r\n', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03half a hello'],
  churn: ['QUIT\r\n'],
};
const trickling: Readonly<Record<string, string>> = { trickle: 'N', data: 'x', handshake: '\0' };
const trickleEach = 500;
/** Connections under way at once. */
const opening = 250;
const wholeReply = /^[0-9]{3} [^\n]*\n/m;

const [port = '', count = '', kind = '', sources = ''] = process.argv.slice(2);
const state = { stuck: 0, refused: 0, dropped: 0 };
let begun = 0;
let reported = '';
const held: net.Socket[] = [];

function report(): void {
  const text = JSON.stringify(state);
  if (text !== reported) process.send!(state);
  reported = text;
}

function next(): void {
  if (begun < Number(count)) open(begun++);
}

function open(number: number): void {
  const socket = net.connect({ host: '127.0.0.1', port: Number(port), localAddress: `127.0.1.${(number % Number(sources)) + 1}`, noDelay: true });
  const steps = [...scripts[kind]!];
  let input = '';
  let isStuck = false;
  const settle = (): void => {
    if (isStuck) return;
    isStuck = true;
    state.stuck++;
    held.push(socket);
    next();
    if (kind === 'unread') flood(socket);
  };
  socket.on('error', () => undefined);
  socket.on('data', (bytes: Buffer) => {
    input += bytes.toString('latin1');
    if (!wholeReply.test(input)) return;
    if (input.startsWith('421') && !isStuck) state.refused++;
    input = '';
    const step = steps.shift();
    if (step !== undefined) socket.write(step, 'latin1');
    // Behind these no reply comes.
    if (kind !== 'churn' && (steps.length === 0 || step === undefined)) settle();
  });
  socket.on('end', () => socket.destroy());
  socket.on('close', () => {
    if (isStuck) state.dropped++;
    else if (kind === 'churn') state.stuck++;
    if (kind === 'churn') begun--;
    if (!isStuck) next();
  });
}

/** As many recipients as one may have, and nobody who reads what becomes of them. */
function flood(socket: net.Socket): void {
  socket.pause();
  socket.write(`MAIL FROM:<a@example.test>\r\n${'RCPT TO:<joe@example.test>\r\n'.repeat(1000)}`, 'latin1');
}

for (let at = 0; at < Math.min(opening, Number(count)); at++) next();
setInterval(report, 50);
const drop = trickling[kind];
if (drop !== undefined) setInterval(() => { for (const socket of held) if (!socket.destroyed) socket.write(drop, 'latin1'); }, trickleEach);
process.on('disconnect', () => process.exit(0));
