// What node:test has and its types leave out.
import 'node:test';

declare module 'node:test' {
  interface TestContext {
    /** False as soon as something in the test failed; meant for hooks that clean up. */
    readonly passed: boolean;
  }
}
