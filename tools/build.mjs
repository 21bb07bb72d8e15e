// `npm run build`: installs what is missing, compiles src/ into dist/, and makes program files of its modules, and the compiled
// sendmail where a C compiler is. Status 0 when dist/ is complete.
import { pathToFileURL } from 'node:url';
import { fail, install, runPinned, root } from './install.mjs';
import { compileNative } from './native.mjs';

export function build() {
  install();
  if (runPinned([`${root}/node_modules/typescript/bin/tsc`, '-p', 'tsconfig.json']) !== 0) fail('the build failed; the compiler\'s messages stand above');
  if (runPinned([`${root}/tools/bundle.mjs`]) !== 0) fail('the program files could not be made; the reason stands above');
  compileNative();
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) build();
