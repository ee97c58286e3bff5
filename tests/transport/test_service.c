// SPDX-License-Identifier: MIT
/*
 * braidd as a service: what it tells the service manager, second instances,
 * signals in every state, runners that do not start, and resources that run
 * out: log, memory, descriptors.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/tap.h"
#include "tests/transport/fake.h"
#include "tests/transport/storm.h"

static const char *const zoo[] = { "null", NULL };
static struct daemon d;

static int exit_status(pid_t pid)
{
	int status = 0;

	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool logged(const char *text, int n)
{
	for (int i = 0; i < 1500; i++) {
		if (daemon_logged(&d, text) >= n)
			return true;
		storm_sleep_ms(10);
	}
	return false;
}

/* The next message for the service manager that is not a sign of life. */
static const char *told(int sock, unsigned int *alive)
{
	static char text[512];
	ssize_t n;

	for (;;) {
		n = recv(sock, text, sizeof(text) - 1, 0);
		text[n < 0 ? 0 : n] = 0;
		if (n < 0 || strcmp(text, "WATCHDOG=1"))
			return text;
		++*alive;
	}
}

static void test_notify(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX, .sun_path = "/tmp/braid-notify-XXXXXX" };
	struct timeval tv = { .tv_sec = 20 };
	int sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	unsigned int alive = 0;
	const char *text;
	char beat[16];

	close(mkstemp(sa.sun_path));
	unlink(sa.sun_path);
	setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	ok(!bind(sock, (struct sockaddr *)&sa, sizeof(sa)), "a service manager");
	daemon_with.notify = sa.sun_path;
	daemon_with.watchdog_usec = 60000;
	daemon_start(&d, zoo, NULL);
	ok(strstr(told(sock, &alive), "READY=1"), "is told READY");
	daemon_model(&d, "tiny_mlp", "another", 1);
	kill(d.pid, SIGHUP);
	text = told(sock, &alive);
	ok(strstr(text, "RELOADING=1\nMONOTONIC_USEC="), "is told RELOADING with the time");
	ok(strstr(told(sock, &alive), "READY=1\nSTATUS=serving 2 models"),
	   "and READY when the models are loaded");
	while (alive < 3 && recv(sock, beat, sizeof(beat), 0) > 0)
		alive++;
	ok(alive >= 3, "and again and again that the loop turns");
	kill(d.pid, SIGTERM);
	ok(strstr(told(sock, &alive), "STOPPING=1"), "and STOPPING");
	is_int(exit_status(d.pid), 0, "SIGTERM ends it");
	ok(access(d.socket, F_OK) && access(d.control, F_OK), "and leaves no socket behind");
	is_int(daemon_logged(&d, "level=warning"), 0, "and nothing to worry about in the log");
	d.pid = 0;
	daemon_stop(&d);
	close(sock);
	unlink(sa.sun_path);
	daemon_with = (struct daemon_with){ 0 };
}

static void test_second(void)
{
	struct daemon other;

	daemon_start(&d, zoo, NULL);
	other = d;
	daemon_spawn(&other);
	is_int(exit_status(other.pid), 1, "a second instance on the same sockets ends");
	ok(daemon_logged(&d, "another braidd serves there") == 1, "with words");
	is_int(daemon_status(&d, "agent_up"), 1, "the first one serves on");
	daemon_kill(&d, SIGKILL);
	daemon_spawn(&d);
	ok(daemon_wait_ready(&d, 1), "one that was killed leaves nothing in the way");
	is_int(daemon_stop(&d), 0, "braidd ends well");

	daemon_prepare(&d, zoo, NULL);
	close(open(d.socket, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	daemon_spawn(&d);
	is_int(exit_status(d.pid), 1, "a file where the socket should be");
	ok(daemon_logged(&d, "is no socket") == 1 && !access(d.socket, F_OK), "is not removed");
	d.pid = 0;
	daemon_stop(&d);
}

/* Many at the same moment: exactly one of them has the names. */
static void test_at_once(void)
{
	unsigned int ended = 0, serve = 0;
	struct daemon many[6];
	char lock[128];
	int fd;

	daemon_prepare(&d, NULL, NULL);
	/* As one that has just begun, and does not listen yet. */
	snprintf(lock, sizeof(lock), "%s.lock", d.socket);
	fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ok(!flock(fd, LOCK_EX), "the name is taken");
	daemon_spawn(&d);
	is_int(exit_status(d.pid), 1, "who comes second ends");
	ok(access(d.socket, F_OK) && access(d.control, F_OK), "without a trace");
	ok(!access(lock, F_OK), "but for what is not its own");
	close(fd);

	for (int round = 0; round < 2; round++) {
		unsigned int left = 6;
		int status;
		pid_t pid;

		for (int i = 0; i < 6; i++) {
			many[i] = d;
			daemon_spawn(&many[i]);
		}
		while (left > 1 && (pid = waitpid(-1, &status, 0)) > 0) {
			left--;
			ended += WIFEXITED(status) && WEXITSTATUS(status) == 1;
			for (int i = 0; i < 6; i++)
				if (many[i].pid == pid)
					many[i].pid = 0;
		}
		for (int i = 0; i < 6; i++)
			if (many[i].pid && daemon_wait_ready(&d, 1)) {
				serve++;
				daemon_kill(&many[i], SIGKILL);
			}
	}
	is_int(ended, 10, "of six that start at once five end");
	is_int(serve, 2, "and one serves, each time");
	is_int(daemon_logged(&d, "another braidd serves there"), 11, "the others say why not");
	d.pid = 0;
	daemon_stop(&d);
}

static void test_no_runner(void)
{
	long long starts;

	daemon_prepare(&d, zoo, "[debug]\nrunner=/nonexistent/runner\n");
	daemon_spawn(&d);
	ok(logged("runner ended\" status=127", 4), "a runner that is not there is tried again");
	ok(daemon_logged(&d, "in_ms=20") == 1 && daemon_logged(&d, "in_ms=40") == 1 &&
	   daemon_logged(&d, "in_ms=80") == 1, "later and later");
	starts = daemon_status(&d, "runner_starts");
	ok(starts >= 4 && starts < 12, "not without pause (%lld times)", starts);
	kill(d.pid, SIGHUP);
	ok(logged("no runner to reload", 1), "SIGHUP meanwhile does no harm");
	is_int(daemon_status(&d, "agent_up"), 0, "status tells that there is no agent");
	is_int(daemon_stop(&d), 0, "SIGTERM ends it");
}

/* One that says it can't begin is not asked again. */
static void test_hopeless(void)
{
	char runner[] = "/tmp/braid-runner-XXXXXX", conf[80];
	static const char script[] = "#!/bin/sh\nexit 78\n";
	int fd = mkstemp(runner);

	ok(write(fd, script, sizeof(script) - 1) > 0 && !fchmod(fd, 0700), "a runner");
	close(fd);
	snprintf(conf, sizeof(conf), "[debug]\nrunner=%s\n", runner);
	daemon_prepare(&d, zoo, conf);
	daemon_spawn(&d);
	is_int(exit_status(d.pid), 1, "that can't begin ends braidd");
	is_int(daemon_logged(&d, "runner started"), 1, "the first time");
	ok(daemon_logged(&d, "braidd can't start"), "with words");
	d.pid = 0;
	daemon_stop(&d);
	unlink(runner);
}

/* A runner that does not end when it is asked to. */
static void test_stubborn(void)
{
	struct fake f;

	fake_daemon(&d, NULL);
	ok(fake_take(&f), "a runner");
	fake_ready(&f);
	kill(f.pid, SIGSTOP);
	kill(d.pid, SIGTERM);
	ok(logged("drained", 1), "that hangs when braidd should end");
	kill(d.pid, SIGTERM);
	is_int(exit_status(d.pid), 0, "SIGTERM twice ends both");
	ok(kill(f.pid, 0) && errno == ESRCH, "at once");
	d.pid = 0;
	daemon_stop(&d);
	fake_drop(&f);
}

/* One that answers nothing: who asks for what only it knows is told so. */
static void test_silent(void)
{
	static const char ask[] = "{\"cmd\":\"runner\"}";
	struct fake f;
	json_t *o;

	fake_daemon(&d, NULL);
	ok(fake_take(&f), "a runner");
	fake_ready(&f);
	o = daemon_answer(&d, ask, sizeof(ask) - 1);
	ok(strstr(json_string_value(json_object_get(o, "error")) ?: "", "does not answer"),
	   "that does not answer: that is the answer");
	json_decref(o);
	is_int(daemon_status(&d, "runner_starts"), 1, "what braidd knows itself is told");
	kill(f.pid, SIGKILL);
	daemon_kill(&d, SIGKILL);
	daemon_stop(&d);
	fake_drop(&f);
}

static int serves(void)
{
	struct raw r;
	uint64_t id;
	int err = raw_open(&r, d.socket);

	if (!err) {
		raw_buf(&r, 4096, &id, &err);
		raw_close(&r);
	}
	return err;
}

static void test_log(void)
{
	daemon_with.stderr_to = "/dev/full";
	daemon_start(&d, zoo, NULL);
	kill(d.pid, SIGHUP);
	is_int(serves(), 0, "a log that can't be written: it serves");
	ok(daemon_kill_runner(&d, SIGKILL) && daemon_wait_ready(&d, 2), "and starts runners");
	is_int(daemon_stop(&d), 0, "and ends well");
	daemon_with = (struct daemon_with){ 0 };
}

/* Nobody reads the log, and the pipe that it goes into is full. */
static void test_unread(void)
{
	char path[] = "/tmp/braid-pipe-XXXXXX", text[4096];
	ssize_t n;
	int fd;

	close(mkstemp(path));
	unlink(path);
	if (mkfifo(path, 0600))
		exit(1);
	fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	memset(text, '\n', sizeof(text));
	while (write(fd, text, sizeof(text)) > 0)
		;
	daemon_with.stderr_to = path;
	daemon_start(&d, zoo, "log_level=debug\n");
	is_int(serves(), 0, "a log that nobody reads: it serves");
	ok(daemon_kill_runner(&d, SIGKILL) && daemon_wait_ready(&d, 2), "and starts runners");
	while ((n = read(fd, text, sizeof(text))) > 0)
		;
	is_int(serves(), 0, "somebody reads again");
	n = read(fd, text, sizeof(text) - 1);
	text[n < 0 ? 0 : n] = 0;
	ok(strstr(text, "lines lost"), "and is told of what was not");
	is_int(daemon_stop(&d), 0, "braidd ends well");
	daemon_with = (struct daemon_with){ 0 };
	close(fd);
	unlink(path);
}

static void test_memory(void)
{
	struct raw r;
	uint64_t id;
	int err;

	daemon_with.max_file_size = 1 << 20;
	daemon_start(&d, zoo, NULL);
	raw_open(&r, d.socket);
	ok(!raw_buf(&r, 4 << 20, &id, &err), "a buffer that can't be had");
	is_int(err, -ENOMEM, "is ENOMEM");
	ok(raw_buf(&r, 65536, &id, &err), "and the next one that can is had");
	raw_close(&r);
	is_int(daemon_status(&d, "runner_starts"), 1, "nothing else breaks");
	is_int(daemon_stop(&d), 0, "braidd ends well");
	daemon_with = (struct daemon_with){ 0 };
}

static void test_descriptors(void)
{
	static struct raw r[128];
	struct raw last;
	unsigned int n = 0, buffers = 0;
	int err = 0, fd;
	uint64_t id;

	daemon_with.max_files = 64;
	daemon_start(&d, zoo, NULL);
	raw_open(&last, d.socket);
	while (buffers < 100) {
		struct braid_buf_alloc a = { .size = sizeof(a), .length = 4096 };

		err = raw_call(&last, BRAID_NR_BUF_ALLOC, &a, -1, &fd);
		if (err)
			break;
		close(fd);
		buffers++;
	}
	is_int(err, -ENOMEM, "out of descriptors, BUF_ALLOC is ENOMEM (after %u)", buffers);
	for (n = 0; n < 20; n++)
		raw_open(&r[n], d.socket);
	ok(logged("out of descriptors", 1), "who comes now waits");
	daemon_kill_runner(&d, SIGKILL);
	ok(daemon_wait_ready(&d, 2), "a runner that died is replaced");
	raw_close(&last);
	/* What was closed is closed beside all else, so room comes a little later. */
	for (int i = 0; i < 500 && !raw_buf(&r[0], 4096, &id, &err); i++)
		usleep(10000);
	is_int(err, 0, "and who waited is served when there is room again");
	for (unsigned int i = 0; i < n; i++)
		raw_close(&r[i]);
	is_int(daemon_stop(&d), 0, "braidd ends well");
	daemon_with = (struct daemon_with){ 0 };

	daemon_start(&d, zoo, "buffer_quota=3\nmax_tenants=8\n");
	raw_open(&last, d.socket);
	for (n = 0; raw_buf(&last, 4096, &id, &err) && n < 9; n++)
		;
	is_int(n, 3, "an owner has so many buffers");
	is_int(err, -EDQUOT, "then EDQUOT");
	for (n = 1; n < 20; n++) {
		struct braid_get_info i = { .size = sizeof(i) };

		raw_open(&r[n], d.socket);
		if (raw_call(&r[n], BRAID_NR_GET_INFO, &i, -1, NULL))
			break;
	}
	is_int(n, 6, "and so many of the places, the rest is for others");
	while (n)
		raw_close(&r[n--]);
	raw_close(&last);
	daemon_stop(&d);
}

/* A request that never ends does not keep braidd from ending for ever. */
static void test_hung_drain(void)
{
	static struct raw r;
	struct braid_slice s[2];
	struct braid_submit out;
	struct braid_request q = { .priority = 1, .n_inputs = 1, .n_outputs = 1 };
	struct fake f;
	uint64_t buf;
	int err;

	fake_daemon(&d, "[braidd]\ndrain_ms=200\n");
	fake_take(&f);
	q.model = fake_model(&f, "m", 1, 64, NULL);
	fake_ready(&f);
	raw_open(&r, d.socket);
	raw_buf(&r, 4096, &buf, &err);
	s[0] = (struct braid_slice){ buf, 0, 64 };
	s[1] = (struct braid_slice){ buf, 64, 64 };
	raw_submit(&r, &q, s, 2, &out);
	fake_jobs(&f, q.model, 1, 3000);
	kill(f.pid, SIGSTOP);
	kill(d.pid, SIGTERM);
	is_int(exit_status(d.pid), 0, "draining has a limit");
	ok(kill(f.pid, 0) && errno == ESRCH, "and ends a runner that hangs");
	is_int(daemon_logged(&d, "the runner does not end"), 0, "without another wait");
	ok(daemon_logged(&d, "drain over\" left=1") == 1, "and tells what was left");
	d.pid = 0;
	daemon_stop(&d);
	fake_drop(&f);
	raw_close(&r);
}

int main(int argc, char **argv)
{
	fake_main(argc, argv);
	test_notify();
	test_second();
	test_at_once();
	test_no_runner();
	test_hopeless();
	test_stubborn();
	test_silent();
	test_log();
	test_unread();
	test_memory();
	test_descriptors();
	test_hung_drain();
	return tap_done();
}
