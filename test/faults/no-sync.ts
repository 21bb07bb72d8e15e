/**
 * The negative control of the power cut tests: a library that makes every flush of the C library a lie. With it the same test has to
 * report losses, or it proves nothing.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';

const text = `#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
int fsync(int fd) { (void)fd; return 0; }
int fdatasync(int fd) { (void)fd; return 0; }
int syncfs(int fd) { (void)fd; return 0; }
#define OPEN(name) int name(const char *path, int flags, ...) { \\
  static int (*real)(const char *, int, ...); va_list rest; va_start(rest, flags); int mode = va_arg(rest, int); va_end(rest); \\
  if (!real) real = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, #name); \\
  return real(path, flags & ~(O_SYNC | O_DSYNC), mode); }
OPEN(open)
OPEN(open64)
`;

/** Why there is no such control here; undefined: there is. For `skip`. */
export function noLie(): string | undefined {
  return ['/usr/bin/cc', '/usr/bin/gcc'].some((path) => existsSync(path)) ? undefined : 'needs a C compiler';
}

/** Lines of main.cf for a mail system whose flushes do nothing; `remove` takes the library away again. */
export function lieAboutFlushes(): { readonly mainCf: string; remove(): void } {
  const directory = mkdtempSync(`${os.tmpdir()}/postern-lie-`);
  chmodSync(directory, 0o755);
  writeFileSync(`${directory}/lie.c`, text);
  execFileSync('cc', ['-shared', '-fPIC', '-O1', '-o', `${directory}/lie.so`, `${directory}/lie.c`]);
  return { mainCf: `import_environment = LANG=C LD_PRELOAD=${directory}/lie.so\n`, remove: () => rmSync(directory, { recursive: true }) };
}
