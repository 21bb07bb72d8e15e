/**
 * A command from its modules: the command named by the first argument, with the rest as its own arguments.
 *
 * The launchers in bin/ come here by way of start.cts, where no program file was made of the command.
 */
import { existsSync } from 'node:fs';
import { runProgram, type Command } from './program.ts';

const name = process.argv[2] ?? '';
const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
const module = new URL(`./${name}/${name}.${extension}`, import.meta.url);

async function load(): Promise<Command> {
  if (!/^[a-z]+(?:-[a-z]+)*$/.test(name) || !existsSync(module)) throw new Error('this command is not part of this release');
  return await import(module.href) as Command;
}

runProgram(name, load);
