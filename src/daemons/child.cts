/** What master(8) starts: a process for the group of daemons that is named, from its program file or from the modules. */
(() => {
  interface Program {
    serveMaster(load: (program: string) => Promise<unknown>): void;
    /** By folder below daemons/, which is in the table of daemons.ts. */
    readonly daemons: Readonly<Record<string, () => { readonly daemon: unknown }>>;
    knownDaemon(program: string): { readonly folder: string } | undefined;
  }
  const { loadProgram } = require('../program-file.cjs') as { loadProgram(name: string): Program | undefined };
  const found = process.argv[3] === undefined ? undefined : loadProgram(`daemons-${process.argv[3]}`);
  if (found === undefined) void import('./child.ts');
  else found.serveMaster(async (program) => found.daemons[found.knownDaemon(program)!.folder]!().daemon);
})();
