// `npm run build`: installs what is missing, then compiles src/ into dist/. Status 0 when dist/ is complete.
import { pathToFileURL } from 'node:url';
import { fail, install, runPinned, root } from './install.mjs';

export function build() {
  install();
  if (runPinned([`${root}/node_modules/typescript/bin/tsc`, '-p', 'tsconfig.json']) !== 0) fail('the build failed; the compiler\'s messages stand above');
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) build();
