/**
 * The process's end of descriptor 3: reads its order and master's words, writes reports.
 *
 * The stream's end means that master is gone. Reports are dropped when nobody reads them any more.
 */
import net from 'node:net';
import { LineReader, encodeLine, type ProcessOrder, type Report, type Word } from './order.ts';

export interface ChannelEvents {
  readonly order: (order: ProcessOrder) => void;
  readonly word: (word: Word) => void;
  readonly gone: () => void;
}

export interface Channel { report(report: Report): void }

export function openChannel(fd: number, events: ChannelEvents): Channel {
  const socket = new net.Socket({ fd, readable: true, writable: true });
  const lines = new LineReader();
  let ordered = false;
  socket.on('data', (chunk: Buffer) => {
    for (const value of lines.read(chunk)) {
      if (ordered) events.word(value as Word);
      else events.order(value as ProcessOrder);
      ordered = true;
    }
  });
  socket.on('error', () => socket.destroy());
  socket.on('close', events.gone);
  return { report: (report) => void (socket.writable && socket.write(encodeLine(report), 'latin1')) };
}
