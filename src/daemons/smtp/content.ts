/** The content of a message as one server is to get it: as it is, or with headers in front and changed on the way. */
import type { Delivery } from '../../delivery/agent.ts';
import type { Content } from './connection.ts';
import { changed } from './downgrade.ts';
import type { Rewriting } from './rewriting.ts';
import type { Settings } from './settings.ts';

/** `headers`: with LF line ends, '' for none; `converted`: the server does not take 8-bit content. */
export function contentOf(delivery: Delivery, { settings, rewriting }: { settings: Settings; rewriting: Rewriting | undefined }, headers: string, converted: boolean): Content {
  const hooks = rewriting?.content(delivery.request.queueId, delivery.log);
  if (headers === '' && !converted && hooks === undefined) {
    return { whole: (notes) => delivery.contentNow('\r\n', notes), pieces: delivery.content, wire: (notes) => delivery.contentWire(notes) };
  }
  return {
    pieces: () => {
      const content = headers === '' ? delivery.content() : withFront(headers, delivery.content());
      return converted || hooks ? changed(content, settings.mimeLimits, { downgrade: converted, ...(hooks && { hooks }) }) : content;
    },
  };
}

async function* withFront(front: string, content: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  yield Buffer.from(front, 'latin1');
  yield* content;
}
