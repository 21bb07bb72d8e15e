/** What the launchers in bin/ start: the command named by the first argument, from its program file or from its modules. */
(() => {
  type Command = import('./program.ts', { with: { 'resolution-mode': 'import' } }).Command;
  interface Program { readonly command: Command; runProgram(name: string, load: () => Promise<Command>): void }

  const { loadProgram } = require('../program-file.cjs') as { loadProgram(name: string): Program | undefined };
  const name = process.argv[2] ?? '';
  const program = loadProgram(name);
  if (program === undefined) void import('./run.ts');
  else program.runProgram(name, async () => program.command);
})();
