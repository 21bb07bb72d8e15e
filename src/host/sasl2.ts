/**
 * Cyrus SASL, the server's side, through the system's libsasl2.
 *
 * The library is one per process: it is initialised once, with one application name, before the root directory changes; what it does for
 * a login (asking saslauthd, a database, a directory) may take as long as it likes, so every call of a login runs on a thread of the
 * pool, a few at a time, and never on the loop. Locks of the C library make that safe; its log lines come back to the loop.
 * Sasl2Trouble tells what the library said. sasl(3), sasl.h.
 */
import { bind, copyBytes, cText, ffi, library, stableBuffer, textAt, type Native } from './libc.ts';

const soname = 'libsasl2.so.2';

/** Results, sasl.h. */
export const sasl2Status = { ok: 0, more: 1, failed: -1, noMemory: -2, noMechanism: -4, badProtocol: -5, tryAgain: -8, badLogin: -13, noUser: -20, unavailable: -24 } as const;
/** Properties of mechanisms, sasl.h: SASL_SEC_*. */
export const sasl2Security = { noPlaintext: 0x1, noActive: 0x2, noDictionary: 0x4, forwardSecrecy: 0x8, noAnonymous: 0x10, mutualAuth: 0x40 } as const;
/** Levels of its log, sasl.h: SASL_LOG_*. */
export const sasl2Log = { error: 1, fail: 2, warn: 3, note: 4, debug: 5, trace: 6, pass: 7 } as const;

const callbackLog = 2;
const pathTypeConfig = 1;
const propertyUsername = 0;
const propertySecurity = 101;
/** Calls at a time: one thread of the pool (four) stays for everybody else. */
const callLimit = 3;
/** More than a pthread_mutex_t. */
const lockSize = 64;

export class Sasl2Trouble extends Error {}

/** Is the library installed? */
export function hasSasl2(): boolean {
  try {
    library(soname);
    return true;
  } catch {
    return false;
  }
}

const sasl = (prototype: string): Native => bind(prototype, soname);
const setMutex = sasl('void sasl_set_mutex(uintptr_t alloc, uintptr_t lock, uintptr_t unlock, uintptr_t free)');
const setPath = sasl('int sasl_set_path(int type, const void *path)');
const serverInit = sasl('int sasl_server_init(const void *callbacks, const void *name)');
const errorString = sasl('uintptr_t sasl_errstring(int status, uintptr_t languages, uintptr_t language)');
const symbol = bind('uintptr_t dlsym(uintptr_t handle, const char *name)');
const allocate = bind('uintptr_t calloc(size_t count, size_t size)');

const decode64 = sasl('int sasl_decode64(const void *text, uint32_t length, void *out, uint32_t most, void *outLength)');

/** What base64 stands for, or the status of the library that it is not. */
export function decodeSasl2(text: string): Buffer | number {
  const out = stableBuffer(text.length + 1);
  const length = stableBuffer(4);
  const status = decode64(cText(text), text.length, out, text.length + 1, length) as number;
  return status === sasl2Status.ok ? out.subarray(0, length.readUInt32LE(0)) : status;
}

const prototypes = {
  create: 'int sasl_server_new(const void *service, const void *host, const void *realm, const void *local, const void *remote, uintptr_t callbacks, uint32_t flags, void *out)',
  setProperty: 'int sasl_setprop(uintptr_t connection, int which, const void *value)',
  getProperty: 'int sasl_getprop(uintptr_t connection, int which, void *out)',
  list: 'int sasl_listmech(uintptr_t connection, uintptr_t user, const void *before, const void *between, const void *behind, void *out, uintptr_t length, void *count)',
  start: 'int sasl_server_start(uintptr_t connection, const void *mechanism, const void *text, uint32_t length, void *out, void *outLength)',
  step: 'int sasl_server_step(uintptr_t connection, const void *text, uint32_t length, void *out, void *outLength)',
  dispose: 'void sasl_dispose(void *connection)',
} as const;
type Call = keyof typeof prototypes;

/** The library's words for one of its numbers. */
export function sasl2Message(status: number): string {
  return textAt(BigInt(errorString(status, 0, 0)));
}

export interface Sasl2Options {
  /** The name of the configuration file, without `.conf`. */
  readonly application: string;
  /** Where that file is looked for; '': where the library does. */
  readonly configPath: string;
  log(level: number, text: string): void;
}

interface Initialised {
  readonly options: Sasl2Options;
  readonly listeners: Set<Sasl2Options['log']>;
  /** Memory that the library keeps pointers to. */
  readonly kept: readonly unknown[];
}

let initialised: Initialised | undefined;

/**
 * Loads the library and its plug-ins. Throws Sasl2Trouble; also where this process has it already, with another application or path, since
 * logins would then be judged by the wrong rules.
 */
export function initialiseSasl2(options: Sasl2Options): void {
  if (initialised !== undefined) {
    const { application, configPath } = initialised.options;
    if (application !== options.application || configPath !== options.configPath)
      throw new Sasl2Trouble(`application "${options.application}" cannot share a process with "${application}"`);
    initialised.listeners.add(options.log);
    return;
  }
  const listeners = new Set([options.log]);
  const kept = [...useLocks()];
  if (options.configPath !== '' && setPath(pathTypeConfig, cText(options.configPath)) !== sasl2Status.ok) options.log(sasl2Log.warn, `failed to set Cyrus SASL configuration path: "${options.configPath}"`);
  const { proto, pointer, register } = ffi();
  const write = register((_context: bigint, level: number, text: bigint) => {
    const line = textAt(text);
    for (const log of listeners) log(level, line);
    return sasl2Status.ok;
  }, pointer(proto('int postern_sasl_log(uintptr_t context, int level, uintptr_t text)')));
  // { id, function, context } twice; the second ends the list.
  const callbacks = stableBuffer(48);
  callbacks.writeBigUInt64LE(BigInt(callbackLog), 0);
  callbacks.writeBigUInt64LE(ffi().address(write), 8);
  const name = stableText(options.application);
  const status = serverInit(callbacks, name) as number;
  if (status !== sasl2Status.ok) throw new Sasl2Trouble(sasl2Message(status));
  initialised = { options, listeners, kept: [...kept, callbacks, name, write] };
}

/** A lock is zeroed memory, which the C library takes for one that is free. */
function useLocks(): readonly unknown[] {
  const { proto, pointer, register, address } = ffi();
  const make = register(() => allocate(1, lockSize), pointer(proto('uintptr_t postern_sasl_lock()')));
  setMutex(address(make), ...['pthread_mutex_lock', 'pthread_mutex_unlock', 'free'].map((name) => symbol(0, name)));
  return [make];
}

/** C keeps the pointer. */
function stableText(text: string): Buffer {
  const bytes = stableBuffer(text.length + 1);
  bytes.write(text, 'latin1');
  return bytes;
}

const bound = new Map<Call, { async: (...words: unknown[]) => void }>();
const waiting: (() => void)[] = [];
let underWay = 0;

/** Runs on a thread of the pool, when its turn has come. Buffers among the arguments live as long as the call. */
async function call(name: Call, ...values: readonly unknown[]): Promise<number> {
  if (underWay >= callLimit) await new Promise<void>((resolve) => { waiting.push(resolve); });
  else underWay++;
  const native = bound.get(name) ?? (library(soname).func(prototypes[name]) as unknown as { async: (...words: unknown[]) => void });
  bound.set(name, native);
  try {
    return await new Promise<number>((resolve, reject) => {
      native.async(...values, (error: Error | null, result: number) => (error === null ? resolve(result) : reject(error)));
    });
  } finally {
    const next = waiting.shift();
    if (next === undefined) underWay--;
    else next();
  }
}

export interface Sasl2Session {
  readonly service: string;
  readonly hostname: string;
  /** '': the library's choice. */
  readonly realm: string;
  /** `address;port`, or ''. */
  readonly local: string;
  readonly remote: string;
  /** Bits of sasl2Security. */
  readonly security: number;
}

export interface Sasl2Answer {
  readonly status: number;
  /** What the mechanism wants the client to hear. */
  readonly output: Buffer;
}

const optional = (text: string): Buffer | null => (text === '' ? null : stableText(text));

/** One login, or one question for the mechanisms that there are. Must be disposed of. One call at a time. */
export class Sasl2Connection {
  readonly #slot = stableBuffer(8);
  readonly #out = stableBuffer(16);

  /** Rejects with Sasl2Trouble. */
  static async open(session: Sasl2Session): Promise<Sasl2Connection> {
    const connection = new Sasl2Connection();
    const { service, hostname, realm, local, remote } = session;
    must(await call('create', stableText(service), stableText(hostname), optional(realm), optional(local), optional(remote), 0, 0, connection.#slot), 'SASL per-connection server initialization: ');
    try {
      // No security layer: min_ssf, max_ssf and maxbufsize are 0.
      const properties = stableBuffer(32);
      properties.writeUInt32LE(session.security, 12);
      must(await call('setProperty', connection.#handle, propertySecurity, properties), 'SASL per-connection security setup; ');
    } catch (error) {
      await connection.dispose();
      throw error;
    }
    return connection;
  }

  get #handle(): bigint {
    return this.#slot.readBigUInt64LE(0);
  }

  /** Rejects with Sasl2Trouble. */
  async mechanisms(): Promise<string[]> {
    const texts = ['', ' ', ''].map(stableText);
    must(await call('list', this.#handle, 0, ...texts, this.#out, 0, this.#out.subarray(8)), 'sasl_listmech: ');
    return textAt(this.#out.readBigUInt64LE(0)).split(' ').filter((word) => word !== '');
  }

  /** `input` undefined: the client has said nothing yet. */
  async start(mechanism: string, input: Buffer | undefined): Promise<Sasl2Answer> {
    return this.#answer(await call('start', this.#handle, stableText(mechanism), input === undefined ? null : stable(input), input?.length ?? 0, ...this.#output()));
  }

  async step(input: Buffer): Promise<Sasl2Answer> {
    return this.#answer(await call('step', this.#handle, stable(input), input.length, ...this.#output()));
  }

  #output(): Buffer[] {
    this.#out.fill(0);
    return [this.#out, this.#out.subarray(8)];
  }

  #answer(status: number): Sasl2Answer {
    const at = this.#out.readBigUInt64LE(0);
    const length = this.#out.readUInt32LE(8);
    return { status, output: status === sasl2Status.more && at !== 0n ? copyBytes(at, length) : Buffer.alloc(0) };
  }

  /** Who has logged in, or tried to; undefined: nobody knows. */
  async username(): Promise<string | undefined> {
    this.#out.fill(0);
    const status = await call('getProperty', this.#handle, propertyUsername, this.#out);
    const at = this.#out.readBigUInt64LE(0);
    return status === sasl2Status.ok && at !== 0n ? textAt(at) : undefined;
  }

  async dispose(): Promise<void> {
    if (this.#handle !== 0n) await call('dispose', this.#slot);
  }
}

/** The library wants a NUL behind what it is given. */
function stable(bytes: Buffer): Buffer {
  const copy = stableBuffer(bytes.length + 1);
  bytes.copy(copy);
  return copy;
}

function must(status: number, what: string): void {
  if (status !== sasl2Status.ok) throw new Sasl2Trouble(what + sasl2Message(status));
}
