/** The listening socket of a test sink, or a `fatal` that says why there is none. */
import { errorText } from '../host/libc.ts';
import type { StreamAddress } from '../host/stream-loop.ts';
import { findEndpoint } from './stream-endpoint.ts';
import type { Voice } from './voice.ts';

export async function openListener(text: string, family: 0 | 4 | 6, open: (address: StreamAddress) => number, voice: Voice): Promise<number> {
  const address = await findEndpoint({ text, host: '', family }).catch((error: Error) => voice.fatal(error.message));
  try {
    return open(address);
  } catch (error) {
    const place = text.startsWith('unix:') ? `: ${text.slice(5)}` : ` ${text.replace(/^inet:/, '')}`;
    const { syscall = '' } = error as NodeJS.ErrnoException;
    return voice.fatal(`${syscall}${syscall === 'bind' || syscall === 'unlink' ? place : ''}: ${errorText(error)}`);
  }
}
