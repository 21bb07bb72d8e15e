/**
 * How Node is started for the processes of daemons; tools/bundle.mjs makes their compiled form under the same flags, else V8 does not take it.
 *
 * Deaf to Node's debug signal; a young generation in which a message dies before it is looked at twice, collected without helping
 * threads (on two processors these cost more than they save), and functions that are made fast after a thousand messages instead of ten
 * thousand. Where objects are made old from the start because those made there before lived long, V8 never asks again: a burst of mail would
 * decide for all mail that follows, so it does not do that at all. The old generation, to which the buffers of large messages count, is not collected below 48 MB. After ten quiet minutes memory
 * is given back, instead of after eight quiet seconds: that makes V8 forget what it knows of our objects, and compile everything again
 * when mail comes (docs/decisions/garbage.md).
 */
export const daemonFlags: readonly string[] = [
  '--disable-sigusr1', '--min-semi-space-size=4', '--max-semi-space-size=4', '--initial-old-space-size=48', '--gc-memory-reducer-start-delay-ms=600000',
  '--single-threaded-gc', '--no-allocation-site-pretenuring', '--invocation-count-for-turbofan=1000', '--expose-gc',
];
