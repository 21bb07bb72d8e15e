/** Rows of master.cf that many tests have, by the name of the service: one line each, without the last line end. */
const known: ReadonlyMap<string, string> = new Map([
  'pickup unix n - n 60 1 pickup', 'cleanup unix n - n - 0 cleanup', 'qmgr unix n - n 300 1 qmgr', 'rewrite unix - - n - - trivial-rewrite',
  'bounce unix - - n - 0 bounce', 'defer unix - - n - 0 bounce', 'trace unix - - n - 0 bounce', 'verify unix - - n - 1 verify',
  'smtp unix - - n - - smtp', 'relay unix - - n - - smtp', 'showq unix n - n - - showq', 'error unix - - n - - error', 'retry unix - - n - - error',
  'discard unix - - n - - discard', 'local unix - n n - - local', 'virtual unix - n n - - virtual', 'anvil unix - - n - 1 anvil',
  'flush unix n - n 1000? 0 flush', 'tlsmgr unix - - n 1000? 1 tlsmgr', 'proxymap unix - - n - - proxymap',
].map((row) => [row.slice(0, row.indexOf(' ')), row]));

/** `services`: names with blanks between them. */
export function masterRows(services: string): string {
  return services.split(' ').map((service) => {
    const row = known.get(service);
    if (row === undefined) throw new Error(`no row is known for ${service}`);
    return row;
  }).join('\n');
}
