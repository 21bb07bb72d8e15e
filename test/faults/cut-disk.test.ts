/** The disk of the power cut tests forgets what it may forget, and nothing else. */
import assert from 'node:assert/strict';
import { closeSync, constants, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeFileSync, writeSync } from 'node:fs';
import { test } from 'node:test';
import { CutDisk, noCutDisk, type FileSystem } from './cut-disk.ts';

const skip = noCutDisk() ?? false;

/** Write, with this flag, `text` at the start of the file. */
function put(path: string, flags: number, text: string, flush: (fd: number) => void = () => undefined): void {
  const fd = openSync(path, constants.O_RDWR | constants.O_CREAT | flags);
  try {
    writeSync(fd, text, 0);
    flush(fd);
  } finally {
    closeSync(fd);
  }
}

for (const kind of ['ext4', 'xfs'] satisfies FileSystem[]) {
  test(`a cut of the power takes what was not flushed (${kind})`, { skip }, async (t) => {
    const disk = await CutDisk.create(kind);
    t.after(() => disk.remove());
    const at = (name: string): string => `${disk.path}/${name}`;
    for (const name of ['overwritten', 'flushed', 'dsync']) writeFileSync(at(name), 'before');
    mkdirSync(at('directory'));
    await disk.sync();
    writeFileSync(at('new'), 'new');
    put(at('overwritten'), 0, 'after!');
    put(at('flushed'), 0, 'after!', fsyncSync);
    put(at('dsync'), constants.O_DSYNC, 'after!');
    put(at('made'), 0, 'made', fsyncSync);
    put(at('renamed'), 0, 'renamed', fsyncSync);
    renameSync(at('renamed'), at('directory/renamed'));
    const directory = openSync(at('directory'), 'r');
    fsyncSync(directory);
    closeSync(directory);
    writeFileSync(at('late'), 'late');
    disk.cut();
    assert.throws(() => put(at('dsync'), constants.O_DSYNC, 'later!'), /EIO|EROFS/);
    await disk.restore();
    const text = (name: string): string => readFileSync(at(name), 'latin1');
    assert.equal(existsSync(at('late')), false);
    assert.deepEqual(['overwritten', 'flushed', 'dsync', 'made', 'directory/renamed'].map(text), ['before', 'after!', 'after!', 'made', 'renamed']);
  });
}
