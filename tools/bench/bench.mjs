// `npm run bench`: installs and builds what is missing, then measures (measure.ts). Plain JavaScript for any Node from 16 on.
// Signals are handed on, so that whatever was started is also ended when only this process hears of the end.
import { spawn } from 'node:child_process';
import { build } from '../build.mjs';
import { fail, pinnedNode, root } from '../install.mjs';

build();
const environment = { ...process.env, UV_THREADPOOL_SIZE: '16' };
const bench = spawn(pinnedNode, [`${root}/tools/bench/measure.ts`, ...process.argv.slice(2)], { cwd: process.cwd(), stdio: 'inherit', env: environment });
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => bench.kill(signal));
bench.on('error', (error) => fail(`cannot run ${pinnedNode}: ${error.message}`));
bench.on('exit', (status) => process.exit(status ?? 1));
