/**
 * BDAT: RFC 3030. The first chunk of a message is asked about like DATA. Whatever is wrong, the bytes that were announced
 * come all the same: they are swallowed before the reply, unless there are far too many of them.
 */
import type { CommandWord } from '../../message/smtp-path.ts';
import { allDigits, printable, sameIgnoringCase } from '../../text/ascii.ts';
import { ChunkReader } from './chunk.ts';
import type { Dialogue, Outcome, Verb } from './dialogue.ts';
import { ask, refuse } from './dialogue.ts';
import { ContentGauge } from './gauge.ts';
import { withRecipients } from './order.ts';
import { say, tell } from './reply.ts';
import type { Reply } from './steps.ts';

interface Announced { readonly size: number; readonly last: boolean }

const chunk: Outcome = { kind: 'chunk' };
const largestSize = 2 ** 53;

function announced(words: readonly CommandWord[]): Announced | undefined {
  const [, size, last] = words;
  if (size === undefined || words.length > 3 || !allDigits(size.text)) return undefined;
  if (last !== undefined && !sameIgnoringCase(last.text, 'LAST')) return undefined;
  const bytes = Number(size.text);
  return bytes < largestSize ? { size: bytes, last: last !== undefined } : undefined;
}

function checkBdat(dialogue: Dialogue, words: readonly CommandWord[], line: string): Outcome {
  // What follows would be taken for commands: better to hang up (521) than to answer line by line.
  if (!dialogue.offers('chunking')) return refuse(say.bdatDisabled);
  const { settings } = dialogue;
  const coming = announced(words);
  if (coming === undefined) {
    dialogue.log({ event: 'bad-bdat', text: printable(line, '?', settings.smtputf8_enable).slice(0, 100) });
    return refuse(say.bdatSyntax);
  }
  const reader = dialogue.chunk ??= new ChunkReader(new ContentGauge(settings.message_size_limit, dialogue.newlineWatch, undefined, !dialogue.policesNewlines));
  const objection = objectionTo(dialogue, coming);
  if (objection !== undefined) return swallow(dialogue, coming, objection);
  reader.begin(coming.size, coming.last);
  return dialogue.chunkState === 'none' ? ask({ verb: 'DATA', command: 'BDAT' }) : admit(dialogue, coming);
}

function objectionTo(dialogue: Dialogue, { size, last }: Announced): Reply | undefined {
  if (size === 0 && !last) {
    dialogue.log({ event: 'null-bdat' });
    return say.nullBdat;
  }
  if (dialogue.chunkState === 'error') return tell.chunkDiscarded(size);
  return dialogue.chunkState === 'none' ? withRecipients(dialogue) : undefined;
}

/** Take the chunk, unless the message would be too big with it. */
function admit(dialogue: Dialogue, coming: Announced): Outcome {
  const limit = dialogue.settings.message_size_limit;
  if (limit > 0 && dialogue.chunk!.gauge.size + coming.size > limit) {
    dialogue.log({ event: 'big-bdat' });
    return swallow(dialogue, coming, say.chunkTooBig);
  }
  dialogue.chunkState = 'ok';
  dialogue.where = 'BDAT content';
  return chunk;
}

/** Let the announced bytes come and go, then reply. Beyond one and a half messages' worth nothing more is read at all. */
function swallow(dialogue: Dialogue, { size, last }: Announced, reply: Reply): Outcome {
  const limit = dialogue.settings.message_size_limit;
  const reader = dialogue.chunk!;
  if (limit > 0 && reader.gauge.size + size > limit * 1.5) reader.flooded = true;
  else reader.gauge.size += size;
  reader.begin(reader.flooded ? 0 : size, last, reply);
  return chunk;
}

export const bdat: Verb = {
  name: 'BDAT',
  check: checkBdat,
  accepted(dialogue) {
    const { size, isLast: last } = dialogue.chunk!;
    admit(dialogue, { size, last });
    return undefined;
  },
  refused(dialogue, reply) {
    const { size, isLast: last } = dialogue.chunk!;
    swallow(dialogue, { size, last }, reply);
    return true;
  },
};
