/** What the launchers in libexec/ start: master(8) from its program file, everything else from its modules. */
(() => {
  const { loadProgram } = require('../program-file.cjs') as { loadProgram(name: string): { run(): void } | undefined };
  const program = process.argv[2] === 'master' ? loadProgram('master') : undefined;
  if (program === undefined) void import('./start.ts');
  else program.run();
})();
