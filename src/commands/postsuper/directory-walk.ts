/**
 * Going through a queue directory with its subdirectories while changing it: what postsuper(1) does to all files.
 *
 * Subdirectories have names of one letter; those below the depth that is wanted are removed once they are empty.
 */
import { opendirSync, type Dir } from 'node:fs';
import { errorText } from '../../host/libc.ts';
import type { Voice } from '../voice.ts';

export interface WalkOptions {
  readonly recurse: boolean;
  readonly wantedDepth: number;
  readonly voice: Voice;
  /** A subdirectory that is deeper than wanted has been gone through. */
  readonly surplus: (path: string) => void;
}

export interface Found { readonly directory: string; readonly name: string }

export function* walk(top: string, options: WalkOptions): Generator<Found, void, undefined> {
  const levels = [enter(top, options.voice)];
  try {
    for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
      const name = level.directory.readSync()?.name;
      if (name === undefined) {
        if (levels.length - 1 > options.wantedDepth) options.surplus(level.path);
        levels.pop()!.directory.closeSync();
      } else if (name.length === 1 && options.recurse) levels.push(enter(`${level.path}/${name}`, options.voice));
      else yield { directory: level.path, name };
    }
  } finally {
    for (const { directory } of levels) directory.closeSync();
  }
}

function enter(path: string, voice: Voice): { path: string; directory: Dir } {
  try {
    return { path, directory: opendirSync(path, { encoding: 'latin1', bufferSize: 256 }) };
  } catch (error) {
    return voice.fatal(`scan_dir_push: open directory ${path}: ${errorText(error)}`);
  }
}
