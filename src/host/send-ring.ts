/**
 * Many short sends with one system call: io_uring(7), and nothing else of it.
 *
 * Each send is tried once, in the order in which they were put, and none waits (MSG_DONTWAIT): when `submit` returns each has its result.
 * What the kernel has no room for is its owner's to write another way. There is no ring (`open` gives undefined) where the kernel is older
 * than 5.6, or a sandbox or a setting (kernel.io_uring_disabled) forbids it.
 */
import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import { addressOf, bindNow, check, closingOnError, ffi, stableBuffer, type Native } from './libc.ts';

/** Sends of one submission; a power of two. */
export const ringEntries = 64;

// The two architectures number these the same.
const setupCall = 425;
const enterCall = 426;
const getEvents = 1;
const opSend = 26;
const singleMmap = 1;
const offsetOfEntries = 0x1000_0000n;
const protection = 3; // PROT_READ | PROT_WRITE
const shared = 1;
const sendFlags = 0x40 | 0x4000; // MSG_DONTWAIT | MSG_NOSIGNAL
const notTried = -constants.errno.EAGAIN;
/** A result: what became of the send is not known. */
export const unknown = -constants.errno.EIO;

/** struct io_uring_params: its size, and where its fields are. */
const params = { size: 120, entries: 0, results: 4, features: 20, queue: 40, answers: 80 } as const;
/** Fields of struct io_sqring_offsets and io_cqring_offsets, each of four bytes. */
const field = { head: 0, tail: 1, mask: 2, array: 6, answers: 5 } as const;
/** struct io_uring_sqe and io_uring_cqe, in words of four bytes. */
const entryWords = 16;
const answerWords = 4;

interface Ring {
  readonly fd: number;
  /** Both queues' numbers, and the answers. */
  readonly words: Int32Array;
  readonly sends: Int32Array;
  /** Where the numbers are in `words`. */
  readonly tail: number;
  readonly answersHead: number;
  readonly answersTail: number;
  readonly answers: number;
  readonly mask: number;
  readonly answersMask: number;
}

export class SendRing {
  /** What is sent lies here; whoever puts a send has written its bytes before `submit`. */
  readonly bytes: Buffer;
  /** By number of the send in its submission: bytes that the kernel took, or a negative error number. */
  readonly results = new Int32Array(ringEntries);
  /** Sends that wait for `submit`, at most `ringEntries`. */
  count = 0;
  readonly #ring: Ring;
  readonly #enter: Native;
  readonly #low: number;
  readonly #high: number;

  /** `size`: of `bytes`. */
  static open(size: number): SendRing | undefined {
    try {
      return new SendRing(size);
    } catch {
      return undefined;
    }
  }

  private constructor(size: number) {
    this.#ring = openRing();
    this.bytes = stableBuffer(size);
    const address = addressOf(this.bytes);
    this.#low = Number(address & 0xffff_ffffn);
    this.#high = Number(address >> 32n);
    this.#enter = bindNow('int syscall(long number, int fd, uint32_t submit, uint32_t complete, uint32_t flags, void *signals, size_t size)');
  }

  /** Bytes from `at` on, to the socket `fd`. */
  put(fd: number, at: number, length: number): void {
    const { sends, words, tail, mask } = this.#ring;
    const entry = ((words[tail]! + this.count) & mask) * entryWords;
    const low = this.#low + at;
    // Fields that are not named here are zero from the beginning.
    sends[entry] = opSend;
    sends[entry + 1] = fd;
    sends[entry + 4] = low;
    sends[entry + 5] = low > 0xffff_ffff ? this.#high + 1 : this.#high;
    sends[entry + 6] = length;
    sends[entry + 7] = sendFlags;
    sends[entry + 8] = this.count++;
  }

  /** Every send has its result afterwards. False: something is wrong, and the ring is closed; what was not tried has -EAGAIN. */
  submit(): boolean {
    const { count, results } = this;
    const { fd, words, tail } = this.#ring;
    this.count = 0;
    Atomics.store(words, tail, (words[tail]! + count) | 0);
    const taken = this.#enter(enterCall, fd, count, count, getEvents, null, 0) as number;
    results.fill(unknown, 0, Math.max(taken, 0)).fill(notTried, Math.max(taken, 0), count);
    if (this.#collect() === count && taken === count) return true;
    closeSync(fd);
    return false;
  }

  #collect(): number {
    const { words, answersHead, answersTail, answers, answersMask } = this.#ring;
    const first = words[answersHead]!;
    const end = Atomics.load(words, answersTail);
    for (let head = first; head !== end; head = (head + 1) | 0) {
      const answer = answers + (head & answersMask) * answerWords;
      this.results[words[answer]!] = words[answer + 2]!;
    }
    Atomics.store(words, answersHead, end);
    return (end - first) | 0;
  }
}

/** Throws where there are none. */
function openRing(): Ring {
  const syscall = bindNow('int syscall(long number, uint32_t entries, void *params)');
  const given = stableBuffer(params.size);
  return closingOnError(check(syscall(setupCall, ringEntries, given) as number, 'io_uring_setup'), (fd) => {
    if ((given.readUInt32LE(params.features) & singleMmap) === 0) throw new Error('rings of another kind');
    return mapRing(fd, given);
  });
}

function mapRing(fd: number, given: Buffer): Ring {
  const mmap = bindNow('int64_t mmap(void *address, size_t length, int protection, int flags, int fd, int64_t offset)');
  const entries = given.readUInt32LE(params.entries);
  const word = (part: number, number: number): number => given.readUInt32LE(part + number * 4) / 4;
  const map = (words: number, offset: bigint): Int32Array => {
    const address = check(mmap(null, words * 4, protection, shared, fd, offset) as number | bigint, 'mmap');
    return new Int32Array(ffi().view(BigInt(address), words * 4));
  };
  const array = word(params.queue, field.array);
  const answers = word(params.answers, field.answers);
  const words = map(Math.max(array + entries, answers + given.readUInt32LE(params.results) * answerWords), 0n);
  for (let index = 0; index < entries; index++) words[array + index] = index;
  return {
    fd, words, sends: map(entries * entryWords, offsetOfEntries), answers,
    tail: word(params.queue, field.tail), mask: words[word(params.queue, field.mask)]!,
    answersHead: word(params.answers, field.head), answersTail: word(params.answers, field.tail), answersMask: words[word(params.answers, field.mask)]!,
  };
}
