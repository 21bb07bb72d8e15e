/*
 * sendmail: hands its words, its standard input and, through the kernel, its user's identity to the running mail system.
 *
 * Lies in PACKAGE/native/build; beside it is sendmail.socket, where master(8) writes the path of pickup's socket and the user id
 * that serves it. Whenever anything is not as expected it becomes PACKAGE/bin/sendmail, which Node runs, with the input whole:
 * nothing is read before the mail system takes the call, and what was read since is kept, up to a megabyte. The frames are those
 * of src/ipc/sendmail-call.ts. This program has no rights that its user has not.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { head = 5, piece = 64 << 10, longest_words = 256 << 10, most_kept = 1 << 20, patience = 10, minute = 60000 };

static char **words, folder[PATH_MAX];	/* argv; where this program is */
static char kept[most_kept];		/* standard input so far */
static size_t kept_length;
static int kept_whole = 1, at_end;
static sighandler_t on_pipe;

static void fail(const char *text)
{
	fprintf(stderr, "sendmail: fatal: %s\n", text);
	exit(75);
}

static int put(int fd, const char *bytes, size_t length)
{
	for (ssize_t n; length > 0; bytes += n, length -= n)
		if ((n = write(fd, bytes, length)) < 0 && (n = 0, errno != EINTR)) return -1;
	return 0;
}

static const char *own_name(void)
{
	const char *slash = words[0] ? strrchr(words[0], '/') : NULL;

	return slash ? slash + 1 : words[0] ? words[0] : "";
}

/* The program that Node runs, under the name that we were called by. */
static void become_node(void)
{
	char program[PATH_MAX + 64];

	signal(SIGPIPE, on_pipe);
	snprintf(program, sizeof program, "%s/../../bin/%.40s", folder, own_name());
	if (access(program, X_OK) < 0) snprintf(program, sizeof program, "%s/../../bin/sendmail", folder);
	execv(program, words);
	fail("cannot run bin/sendmail of this installation");
}

/* The mail system has kept nothing: begin anew with Node, and give it the input that was read already. */
static void begin_anew(void)
{
	int ends[2];
	pid_t child;

	if (!kept_whole) fail("the mail system went away, and the message was not sent");
	if (kept_length == 0 && !at_end) become_node();
	if (pipe(ends) < 0 || (child = fork()) < 0) fail("cannot begin anew without the mail system");
	if (child > 0) {
		dup2(ends[0], 0);
		close(ends[0]);
		close(ends[1]);
		become_node();
	}
	close(ends[0]);
	for (ssize_t n = kept_length; n > 0 && put(ends[1], kept, n) == 0 && !at_end;)
		if ((n = read(0, kept, sizeof kept)) < 0) kill(getppid(), SIGTERM);	/* half a message must not be sent */
	_exit(0);
}

/* A connection to pickup, or -1. Who may write the file may replace this program; who listens must be whom it names. */
static int mail_system(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct timeval limit = { .tv_sec = patience };
	struct ucred server;
	struct stat self, file;
	socklen_t length = sizeof server;
	char text[PATH_MAX + 32], *end;
	ssize_t n = -1;
	int fd;

	snprintf(text, sizeof text, "%s/sendmail.socket", folder);
	if ((fd = open(text, O_RDONLY | O_CLOEXEC | O_NONBLOCK)) < 0) return -1;
	if (fstat(fd, &file) == 0 && stat("/proc/self/exe", &self) == 0 && S_ISREG(file.st_mode)
	    && !(file.st_mode & 022) && (file.st_uid == 0 || file.st_uid == self.st_uid))
		n = read(fd, text, sizeof text - 1);
	close(fd);
	if (n <= 0) return -1;
	text[n] = 0;
	if ((end = strchr(text, '\n')) == NULL || end >= text + sizeof address.sun_path) return -1;
	memcpy(address.sun_path, text, end - text);
	if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) > 2
	    && setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) == 0
	    && setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0
	    && connect(fd, (struct sockaddr *) &address, sizeof address) == 0
	    && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &server, &length) == 0
	    && (server.uid == 0 || server.uid == self.st_uid || server.uid == strtoul(end + 1, NULL, 10)))
		return fd;
	if (fd >= 0) close(fd);
	return -1;
}

/* `frame` has room for the head in front of `length` bytes. */
static int send_frame(int fd, char kind, char *frame, size_t length)
{
	frame[0] = kind;
	memcpy(frame + 1, &(uint32_t) { htonl(length) }, head - 1);
	return put(fd, frame, head + length);
}

/* The kind of the mail system's next frame; 0: there is none. */
static char receive_frame(int fd, char *bytes, uint32_t room, uint32_t *length)
{
	char lead[head];

	if (recv(fd, lead, head, MSG_WAITALL) != head) return 0;
	memcpy(length, lead + 1, sizeof *length);
	*length = ntohl(*length);
	return *length <= room && (*length == 0 || recv(fd, bytes, *length, MSG_WAITALL) == *length) ? lead[0] : 0;
}

/* The environment's NAME and the command line, behind the request. */
static int send_words(int fd)
{
	static const char request[] = "request\0sendmail\0";
	static char frame[head + longest_words];
	const char *name = getenv("NAME");
	size_t length = snprintf(frame + head, longest_words, "%s%s", name ? "NAME=" : "", name ? name : "") + 1;

	for (char **word = words + 1; length < longest_words && *word; word++)
		length += snprintf(frame + head + length, longest_words - length, "%s", *word) + 1;
	return length >= longest_words || put(fd, request, sizeof request) < 0 ? -1 : send_frame(fd, 'a', frame, length);
}

/* Silence after the end of the input may mean that the message is there: it must not be sent again. */
static void listen_to(int fd)
{
	static char bytes[piece];
	uint32_t length;
	char kind = receive_frame(fd, bytes, sizeof bytes, &length);

	if (kind == 'o' || kind == 'r') put(kind == 'o' ? 1 : 2, bytes, length);
	else if (kind == 'x' && length == 1) exit((unsigned char) bytes[0]);
	else if (kind != 'n' && at_end) fail("the mail system went away before it said what became of the message");
	else begin_anew();
}

static void hand_over(int fd)
{
	static char frame[head + piece];

	for (char kind;;) {
		struct pollfd ready[] = { { .fd = fd, .events = POLLIN }, { .fd = at_end ? -1 : 0, .events = POLLIN } };
		int found = poll(ready, 2, at_end ? -1 : minute);
		ssize_t n = 0;

		if (found > 0 && !ready[0].revents && (n = read(0, frame + head, piece)) < 0 && errno == EINTR) continue;
		if (found < 0) continue;
		if (ready[0].revents) {
			listen_to(fd);
			continue;
		}
		kind = found == 0 ? 'w' : n > 0 ? 'd' : n == 0 ? 'e' : 'f';
		at_end = kind == 'e' || kind == 'f';
		if (kind == 'f') n = snprintf(frame + head, piece, "%d", errno);
		if (kind == 'd' && (kept_whole = kept_whole && kept_length + n <= most_kept)) {
			memcpy(kept + kept_length, frame + head, n);
			kept_length += n;
		}
		/* Nobody listens any more: the reason may still be there to be read. */
		if (send_frame(fd, kind, frame, n) < 0) for (;;) listen_to(fd);
	}
}

int main(int argc, char **argv)
{
	struct timeval forever = { 0 };
	uint32_t length;
	char *slash, none;
	int fd;

	words = argv;
	on_pipe = signal(SIGPIPE, SIG_IGN);
	if (getuid() != geteuid() || getgid() != getegid()) fail("this program must not be set-uid or set-gid");
	if (readlink("/proc/self/exe", folder, sizeof folder - 1) < 0 || (slash = strrchr(folder, '/')) == NULL) fail("/proc is missing: cannot find where this program is");
	*slash = 0;
	if (argc < 1 || strcmp(own_name(), "sendmail") != 0 || getenv("MAIL_CONFIG") || getenv("MAIL_VERBOSE") || getenv("MAIL_DEBUG") || getenv("MAIL_LOGTAG")
	    || (fd = mail_system()) < 0 || send_words(fd) < 0 || receive_frame(fd, &none, 0, &length) != 'g') become_node();
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &forever, sizeof forever);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &forever, sizeof forever);
	hand_over(fd);
}
