/**
 * `postqueue -p` and `-j`: asks showq(8); when the mail system is down, whoever may read the queue reads it directly.
 */
import { once } from 'node:events';
import net from 'node:net';
import { errorText } from '../../host/libc.ts';
import { becomeUser, isRoot } from '../../host/identity.ts';
import type { Configuration } from '../../config/configuration.ts';
import { ShowqReader, type ShowqEvent } from '../../ipc/showq.ts';
import { ShapeTrouble } from '../../ipc/shape.ts';
import { journaled } from '../../queue/journal-listing.ts';
import { listQueues } from '../../queue/listing.ts';
import { QueuePaths } from '../../queue/queue-paths.ts';
import { mailOwner } from '../../server/mail-owner.ts';
import type { Voice } from '../voice.ts';
import { ownsQueue } from './authorization.ts';
import { JsonLines } from './json-lines.ts';
import { MailqText } from './mailq-text.ts';

export type Form = 'text' | 'json';

export interface TextOutput {
  write(bytes: Uint8Array): boolean;
}

interface Renderer {
  take(event: ShowqEvent): string;
  finish(): string;
}

const portion = 16 << 10;
const malformed = 'malformed showq server response';

export async function listQueue(form: Form, config: Configuration, voice: Voice, out: TextOutput): Promise<void> {
  const renderer = form === 'json' ? new JsonLines(config.get('smtputf8_enable')) : new MailqText(config.get('enable_long_queue_ids'));
  const service = config.get('showq_service_name');
  const socket = await connect(`public/${service}`, config.get('ipc_timeout') * 1000).catch((error: NodeJS.ErrnoException) => error);
  if (socket instanceof net.Socket) await fromService(socket, renderer, config, voice, out);
  else await fromDirectories(socket, renderer, config, voice, out);
}

async function connect(path: string, timeout: number): Promise<net.Socket> {
  const socket = net.connect({ path });
  socket.setTimeout(timeout, () => socket.destroy(new Error('no answer in time')));
  await once(socket, 'connect');
  return socket;
}

async function fromService(socket: net.Socket, renderer: Renderer, config: Configuration, voice: Voice, out: TextOutput): Promise<void> {
  const reader = new ShowqReader(config.get('smtputf8_enable'));
  try {
    for await (const chunk of socket) {
      let text = '';
      for (const event of reader.feed(chunk as Buffer)) text += renderer.take(event);
      await put(out, text);
      if (reader.finished) break;
    }
  } catch (error) {
    if (error instanceof ShapeTrouble) voice.fatal(malformed);
    voice.warning(`read showq socket: ${errorText(error)}`);
  }
  if (!reader.finished) voice.fatal(malformed);
  await put(out, renderer.finish());
}

async function put(out: TextOutput, text: string): Promise<void> {
  if (text !== '' && !out.write(Buffer.from(text, 'latin1')) && 'once' in out) await once(out as unknown as NodeJS.WriteStream, 'drain');
}

async function fromDirectories(error: NodeJS.ErrnoException, renderer: Renderer, config: Configuration, voice: Voice, out: TextOutput): Promise<void> {
  const reason = `Connect to the ${config.get('mail_name')} ${config.get('showq_service_name')} service: ${errorText(error)}`;
  if (error.code === 'EACCES' || error.code === 'EPERM') voice.fatal(reason);
  if (!isRoot() && !ownsQueue()) voice.fatal(`Queue report unavailable - mail system is down (${reason})`);
  voice.warning(`Mail system is down -- accessing queue directly (${reason})`);
  if (isRoot()) becomeUser(mailOwner(config));
  let text = '';
  for (const event of listQueues(listingOptions(config, voice))) {
    text += renderer.take(event);
    if (text.length < portion) continue;
    await put(out, text);
    text = '';
  }
  await put(out, text + renderer.finish());
}

function listingOptions(config: Configuration, voice: Voice): Parameters<typeof listQueues>[0] {
  const paths = new QueuePaths({ hashQueueNames: config.get('hash_queue_names'), hashQueueDepth: config.get('hash_queue_depth') });
  return {
    paths, journaled: () => journaled(paths),
    emptyAddress: config.get('empty_address_recipient'),
    duplicateLimit: config.get('duplicate_filter_limit'),
    utf8: config.get('smtputf8_enable'),
    warn: (text) => voice.warning(text),
  };
}
