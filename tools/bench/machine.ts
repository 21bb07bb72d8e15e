/**
 * What the figures were measured on. Nothing in it names the machine or a place on it.
 */
import { readFileSync, realpathSync } from 'node:fs';
import os from 'node:os';
import { root } from '../install.mjs';
import type { Machine } from './results.ts';

/** Type of the file system that holds the path, from the text of /proc/self/mountinfo. Pure. */
export function fileSystemOf(path: string, mountinfo: string): string {
  let best = { point: '', type: 'unknown' };
  for (const line of mountinfo.split('\n')) {
    const [before, after] = line.split(' - ');
    const point = (before?.split(' ')[4] ?? '').replaceAll('\\040', ' ');
    const type = after?.split(' ')[0];
    const holds = point === '/' || path === point || path.startsWith(`${point}/`);
    if (type !== undefined && point !== '' && holds && point.length >= best.point.length) best = { point, type };
  }
  return best.type;
}

export function describeMachine(directory: string): Machine {
  return {
    cpu: os.cpus()[0]?.model.replace(/\s+/g, ' ').trim() ?? 'unknown',
    cores: os.availableParallelism(),
    memory: `${Math.round(os.totalmem() / 2 ** 30)} GiB`,
    kernel: `Linux ${/^[0-9]+\.[0-9]+/.exec(os.release())?.[0] ?? os.release()}`,
    fileSystem: fileSystemOf(realpathSync(directory), readFileSync('/proc/self/mountinfo', 'latin1')),
  };
}

export function ownVersion(): string {
  return (JSON.parse(readFileSync(`${root}/package.json`, 'utf8')) as { version: string }).version;
}
