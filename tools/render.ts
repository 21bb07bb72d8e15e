// Renders what is checked in but written elsewhere: conf/ (the stock configuration) and man/ (the manual).
//   node tools/render.ts           writes the files
//   node tools/render.ts --check   status 1 when a file is not what would be written, or nothing would write it
import { globSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { renderMain } from './conf/main-cf.ts';
import { renderMaster } from './conf/master-cf.ts';
import { isThere, renderManual, root, type Rendered } from './manual/pages.ts';

const wanted: readonly Rendered[] = [{ file: 'conf/main.cf', text: renderMain() }, { file: 'conf/master.cf', text: renderMaster() }, ...renderManual()];
const names = new Set(wanted.map(({ file }) => file));
const stale = globSync('man/man*/*', { cwd: root }).filter((file) => !names.has(file));
const different = wanted.filter((one) => !isThere(one));

function write({ file, text, link }: Rendered): void {
  const target = path.join(root, file);
  mkdirSync(path.dirname(target), { recursive: true });
  rmSync(target, { force: true });
  if (link === undefined) writeFileSync(target, text, 'latin1');
  else symlinkSync(link, target);
}

if (process.argv.includes('--check')) {
  for (const { file } of different) console.error(`${file} is not what tools/render.ts writes`);
  for (const file of stale) console.error(`${file} is written by nothing: its prose is gone`);
  if (different.length + stale.length > 0) process.exitCode = 1;
} else {
  for (const file of stale) rmSync(path.join(root, file));
  different.forEach(write);
}
