/**
 * Node's own TCP handles, below net.Socket: what lean-socket.ts needs of them. No release of Node promises these, so each part is looked for;
 * where one is missing `node` is undefined.
 */

/** Whom a handle and its requests tell what comes of them. */
export interface Owner {
  arrived(length: number): void;
  written(length: number, status: number): void;
  closed(): void;
}

export interface WriteRequest { oncomplete: (this: WriteRequest, status: number) => void; owner: Owner; length: number; kept: unknown }
export interface Ends { address?: string; family?: string; port?: number }

/** node's TCPWrap. */
export interface Handle {
  readonly fd?: number;
  owner: Owner;
  onread: (this: Handle) => void;
  useUserBuffer(buffer: Buffer): void;
  readStart(): number;
  readStop(): number;
  writeLatin1String(request: WriteRequest, text: string): number;
  writeBuffer(request: WriteRequest, bytes: Buffer): number;
  writev(request: WriteRequest, pieces: readonly unknown[], allBuffers: boolean): number;
  getpeername(ends: Ends): number;
  getsockname(ends: Ends): number;
  setNoDelay(on: boolean): number;
  connect(request: ConnectRequest, address: string, port: number): number;
  connect6(request: ConnectRequest, address: string, port: number): number;
  close(closed: (this: Handle) => void): void;
}
export interface ConnectRequest { oncomplete: (status: number) => void }

interface Bindings {
  readonly state: Int32Array;
  readonly atRead: number;
  readonly atAsync: number;
  readonly WriteWrap: new () => WriteRequest;
  readonly TCP: new (kind: number) => Handle;
  readonly TCPConnectWrap: new () => ConnectRequest;
}

/** Node's own parts below net.Socket. No release promises them, so each is looked for. */
function findBindings(): Bindings | undefined {
  try {
    const binding = (process as unknown as { binding(name: string): Record<string, any> }).binding;
    const stream = binding('stream_wrap');
    const tcp = binding('tcp_wrap');
    const { streamBaseState: state, kReadBytesOrError: atRead, kLastWriteWasAsync: atAsync, WriteWrap } = stream;
    const { TCP, TCPConnectWrap } = tcp;
    const methods = ['useUserBuffer', 'readStart', 'readStop', 'writeLatin1String', 'writeBuffer', 'writev', 'getpeername', 'getsockname', 'setNoDelay', 'connect', 'connect6', 'close'];
    const isKnown = state instanceof Int32Array && typeof atRead === 'number' && typeof atAsync === 'number'
      && [WriteWrap, TCP, TCPConnectWrap].every((one) => typeof one === 'function') && methods.every((name) => typeof TCP.prototype[name] === 'function');
    return isKnown ? { state, atRead, atAsync, WriteWrap, TCP, TCPConnectWrap } as Bindings : undefined;
  } catch {
    return undefined;
  }
}

export const node = findBindings();

/** Can there be any? */
export const leanSockets = node !== undefined;

/** Can this handle, which a server accepted, become one? Those of UNIX-domain sockets cannot. */
export function isTcpHandle(handle: object): boolean {
  return node !== undefined && handle instanceof node.TCP;
}

let spare: WriteRequest | undefined;

/** For one write. Only where `node` is there. */
export function takeRequest(): WriteRequest {
  const found = spare ?? new node!.WriteWrap();
  spare = undefined;
  return found;
}

/** The kernel answered the write at once: the request serves the next one too. */
export function giveRequest(request: WriteRequest): void {
  spare = request;
}

/** Write to a handle: bytes, or a byte string. */
export function writeTo(handle: Handle, request: WriteRequest, bytes: Buffer | string): number {
  return typeof bytes === 'string' ? handle.writeLatin1String(request, bytes) : handle.writeBuffer(request, bytes);
}

/** Has the kernel taken only a part of what was just written (with `status`), so that the request's end is still to come? */
export function waitsForKernel(status: number): boolean {
  return status === 0 && node!.state[node!.atAsync] !== 0;
}
