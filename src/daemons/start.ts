/**
 * What the launchers in libexec/ start: `master` is master(8), every other daemon says who starts it.
 */
const name = process.argv[2] ?? 'postern';

if (name === 'master') {
  const { run } = await import('./master/master.ts');
  run();
} else {
  process.stderr.write(`${name}: fatal: ${name} is started by master(8) as the rows of master.cf say; use "postfix start" to start the mail system\n`);
  process.exit(1);
}
