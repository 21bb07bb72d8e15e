/**
 * Program files: what `npm run build` has made of the modules of a command or of a group of daemons (tools/bundle.mjs), one file
 * each, with V8's compiled form of it when that is there and fits this Node.
 *
 * They lie in dist/programs, and are as trusted as the code beside them; nothing is ever written at run time. A file that is missing,
 * or older than the last compilation, is passed over: then the modules themselves are run. Plain CommonJS without imports, as
 * all that is started directly, because Node is quicker to start that way.
 */
const fs = process.getBuiltinModule('node:fs');
const vm = process.getBuiltinModule('node:vm');
const { pathToFileURL } = process.getBuiltinModule('node:url');

/** Bytes of the name that a program file has in its first line, behind two slashes: it stands for this very content. */
const markLength = 16;

function modified(path: string): number {
  return fs.statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

function compiledForm(program: string, mark: string): Buffer | undefined {
  try {
    return fs.readFileSync(`${__dirname}/programs/${program}.${mark}.v8`);
  } catch {
    return undefined;
  }
}

/** What the program file offers; undefined: run the modules. `name` is one of ours, or a stranger's word. */
function loadProgram<T>(name: string): T | undefined {
  const file = `${__dirname}/programs/${name}.js`;
  const made = /^[a-z-]+$/.test(name) ? modified(file) : 0;
  if (made === 0 || made < modified(`${__dirname}/.tsbuildinfo`)) return undefined;
  const source = fs.readFileSync(file, 'latin1');
  const script = new vm.Script(source, {
    filename: file, cachedData: compiledForm(name, source.slice(2, 2 + markLength)), importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  });
  return script.runInThisContext()(require, pathToFileURL(`${__dirname}/`).href) as T;
}

module.exports = { loadProgram };
