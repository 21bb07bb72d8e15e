/*
 * A disk on which one flush takes 5 ms and only one is under way at a time: preloaded into the daemons of a mail system.
 *
 * What counts as a flush: fsync, fdatasync, syncfs, sync_file_range, msync(MS_SYNC), and every write to a descriptor opened with
 * O_DSYNC or O_SYNC. The lock file (LOCK, set by the compiler's command line) makes them wait for each other across processes and
 * holds the number of flushes so far: eight bytes, in the machine's order.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define FLUSH_NANOSECONDS 5000000L

static void flush_slowly(void)
{
	struct timespec rest = { 0, FLUSH_NANOSECONDS };
	uint64_t count = 0;
	int saved = errno;
	int lock = open(LOCK, O_RDWR | O_CLOEXEC);

	if (lock >= 0)
		flock(lock, LOCK_EX);
	while (nanosleep(&rest, &rest) < 0 && errno == EINTR)
		;
	if (lock >= 0) {
		if (syscall(SYS_pread64, lock, &count, sizeof count, (off_t) 0) < 0)
			count = 0;
		count++;
		syscall(SYS_pwrite64, lock, &count, sizeof count, (off_t) 0);
		close(lock);
	}
	errno = saved;
}

static int is_synchronous(int fd)
{
	int saved = errno;
	int flags = fcntl(fd, F_GETFL);

	errno = saved;
	return flags >= 0 && (flags & O_DSYNC) != 0;
}

/* The function that this library stands in front of; looked up once, which any number of threads may do at a time. */
#define NEXT(type, name, ...) \
	static type (*next)(__VA_ARGS__); \
	if (next == 0) \
		next = (type (*)(__VA_ARGS__)) dlsym(RTLD_NEXT, name)

#define FLUSHING(name, declared, used, ...) \
	int name declared \
	{ \
		NEXT(int, #name, __VA_ARGS__); \
		int status = next used; \
		flush_slowly(); \
		return status; \
	}

#define WRITING(name, declared, used, ...) \
	ssize_t name declared \
	{ \
		NEXT(ssize_t, #name, __VA_ARGS__); \
		ssize_t count = next used; \
		if (count > 0 && is_synchronous(fd)) \
			flush_slowly(); \
		return count; \
	}

FLUSHING(fsync, (int fd), (fd), int)
FLUSHING(fdatasync, (int fd), (fd), int)
FLUSHING(syncfs, (int fd), (fd), int)
FLUSHING(sync_file_range, (int fd, off64_t from, off64_t length, unsigned flags), (fd, from, length, flags), int, off64_t, off64_t, unsigned)

int msync(void *address, size_t length, int flags)
{
	NEXT(int, "msync", void *, size_t, int);
	int status = next(address, length, flags);

	if (flags & MS_SYNC)
		flush_slowly();
	return status;
}

WRITING(write, (int fd, const void *bytes, size_t length), (fd, bytes, length), int, const void *, size_t)
WRITING(writev, (int fd, const struct iovec *pieces, int count_of), (fd, pieces, count_of), int, const struct iovec *, int)
WRITING(pwrite, (int fd, const void *bytes, size_t length, off_t at), (fd, bytes, length, at), int, const void *, size_t, off_t)
WRITING(pwrite64, (int fd, const void *bytes, size_t length, off64_t at), (fd, bytes, length, at), int, const void *, size_t, off64_t)
WRITING(pwritev, (int fd, const struct iovec *pieces, int count_of, off_t at), (fd, pieces, count_of, at), int, const struct iovec *, int, off_t)
WRITING(pwritev64, (int fd, const struct iovec *pieces, int count_of, off64_t at), (fd, pieces, count_of, at), int, const struct iovec *, int, off64_t)

/* RWF_DSYNC and RWF_SYNC ask for the same by the call. */
ssize_t pwritev2(int fd, const struct iovec *pieces, int count_of, off_t at, int flags)
{
	NEXT(ssize_t, "pwritev2", int, const struct iovec *, int, off_t, int);
	ssize_t count = next(fd, pieces, count_of, at, flags);

	if (count > 0 && ((flags & (RWF_DSYNC | RWF_SYNC)) || is_synchronous(fd)))
		flush_slowly();
	return count;
}
