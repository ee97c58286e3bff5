// SPDX-License-Identifier: MIT
/*
 * Many peers and bad ones: a thousand tenants at once, tenants that flood, do
 * not read, or send descriptors by the hundred; control clients that send
 * rubbish; lists that are longer than a message; reloads by the dozen.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/tap.h"
#include "tests/transport/fake.h"
#include "tests/transport/storm.h"

#define CROWD	1000

static struct daemon d;

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000ull + ts.tv_nsec / 1000;
}

/* One request from start to end; its latency in us, or a negative errno. */
static long long infer(struct raw *r, const struct braid_model_get *m,
		       const struct braid_tensor *t, uint64_t buf)
{
	struct braid_completion done;
	uint64_t start = now_us();
	int ret = raw_infer(r, m, t, buf, 0, &done);

	if (!ret)
		ret = done.status;
	return ret ? ret : (long long)(now_us() - start);
}

/* The whole of a list, part by part; how many parts it took. */
static size_t list(const char *cmd, unsigned int *parts)
{
	char text[96];
	long long after = -1;
	size_t n = 0;

	*parts = 0;
	do {
		json_t *o, *more;

		snprintf(text, sizeof(text), after < 0 ? "{\"cmd\":\"%s\"}" :
			 "{\"cmd\":\"%s\",\"after\":%lld}", cmd, after);
		o = daemon_answer(&d, text, strlen(text));
		n += json_array_size(json_object_get(o, "result"));
		more = json_object_get(o, "more");
		after = more ? json_integer_value(more) : -1;
		json_decref(o);
		++*parts;
	} while (after >= 0 && *parts < 1000);
	return n;
}

static void test_crowd(void)
{
	struct rlimit rl;
	struct raw *r = calloc(1, sizeof(*r));
	struct braid_model_get m;
	struct braid_tensor t[4];
	int socks[CROWD], served = 0, err;
	unsigned int n = 0, parts;
	uint64_t buf;

	getrlimit(RLIMIT_NOFILE, &rl);
	rl.rlim_cur = rl.rlim_max;
	setrlimit(RLIMIT_NOFILE, &rl);
	while (n < CROWD && !raw_open(r, d.socket))
		socks[n++] = r->sock;
	is_int(n, CROWD, "a thousand tenants connect");
	for (unsigned int i = 0; i < n; i++) {
		memset(r, 0, offsetof(struct raw, done));
		r->sock = socks[i];
		r->n_done = 0;
		if (!raw_model(r, "tiny_mlp", &m, t, 4) && raw_buf(r, 65536, &buf, &err) &&
		    infer(r, &m, t, buf) >= 0)
			served++;
	}
	is_int(served, CROWD, "each of them is served");
	is_int(daemon_status(&d, "tenants"), CROWD, "all at once");
	is_int(list("tenants", &parts), CROWD, "all are listed, in %u parts", parts);
	for (unsigned int i = 0; i < n; i++)
		close(socks[i]);
	for (int i = 0; i < 1000 && daemon_status(&d, "tenants"); i++)
		storm_sleep_ms(5);
	is_int(daemon_status(&d, "tenants"), 0, "and all are gone when they close");
	free(r);
}

static struct braid_request flood_req[BRAID_MAX_BATCH];

/* Submit as much as goes, never read, never stop. */
static void __attribute__((noreturn)) flood(const struct braid_model_get *m,
					    const struct braid_tensor *t)
{
	static struct raw r;
	struct braid_slice s[2];
	uint64_t buf;
	int err;

	raw_open(&r, d.socket);
	raw_buf(&r, 65536, &buf, &err);
	s[0] = (struct braid_slice){ buf, 0, t[0].bytes };
	s[1] = (struct braid_slice){ buf, 32768, t[1].bytes };
	for (unsigned int i = 0; i < BRAID_MAX_BATCH; i++)
		flood_req[i] = (struct braid_request){ .model = m->id, .priority = 1,
						       .n_inputs = 1, .n_outputs = 1 };
	for (;;) {
		struct braid_submit a = {
			.size = sizeof(a),
			.requests = { sizeof(flood_req[0]), BRAID_MAX_BATCH, (uintptr_t)flood_req },
			.slices = { sizeof(s[0]), 2, (uintptr_t)s },
		};

		raw_call(&r, BRAID_NR_SUBMIT, &a, -1, NULL);
		r.seen += r.n_done;
		r.n_done = 0;
	}
}

static int by_size(const void *a, const void *b)
{
	long long x = *(const long long *)a, y = *(const long long *)b;

	return x < y ? -1 : x > y;
}

/* Median latency of a lone tenant, us. */
static long long lone(struct raw *r, const struct braid_model_get *m,
		      const struct braid_tensor *t, uint64_t buf)
{
	long long us[101];

	for (int i = 0; i < 101; i++) {
		us[i] = infer(r, m, t, buf);
		if (us[i] < 0)
			return us[i];
	}
	qsort(us, 101, sizeof(us[0]), by_size);
	return us[50];
}

static void test_flood(void)
{
	static struct raw r;
	struct braid_model_get m;
	struct braid_tensor t[4];
	long long calm, storm;
	uint64_t buf;
	pid_t pid;
	int err;

	raw_open(&r, d.socket);
	raw_model(&r, "tiny_mlp", &m, t, 4);
	raw_buf(&r, 65536, &buf, &err);
	calm = lone(&r, &m, t, buf);
	fflush(stdout);
	pid = fork();
	if (!pid)
		flood(&m, t);
	while (daemon_status(&d, "tenants") < 2 || daemon_counter(&d, "submitted") < 5000)
		storm_sleep_ms(2);
	storm = lone(&r, &m, t, buf);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	diag("median latency %lld us alone, %lld us beside one that floods", calm, storm);
	ok(calm > 0 && storm > 0, "a tenant is served beside one that floods");
	raw_close(&r);
}

/* Have and free a lot of memory, without end. */
static void __attribute__((noreturn)) gorge(void)
{
	static struct raw r;

	raw_open(&r, d.socket);
	for (;;) {
		struct braid_buf_alloc a = { .size = sizeof(a), .length = 256 << 20 };
		struct braid_buf_free f = { .size = sizeof(f) };
		int fd = -1;

		if (raw_call(&r, BRAID_NR_BUF_ALLOC, &a, -1, &fd))
			continue;
		close(fd);
		f.id = a.id;
		raw_call(&r, BRAID_NR_BUF_FREE, &f, -1, NULL);
	}
}

static long long charged(void)
{
	json_t *o = daemon_ask(&d, "{\"cmd\":\"owners\"}");
	long long n = json_integer_value(json_object_get(json_array_get(o, 0), "bytes"));

	json_decref(o);
	return n;
}

static void test_gorge(void)
{
	static struct raw r;
	struct braid_model_get m;
	struct braid_tensor t[4];
	long long us[101], worst = 0;
	uint64_t buf;
	pid_t pid[3];
	int err;

	raw_open(&r, d.socket);
	raw_model(&r, "tiny_mlp", &m, t, 4);
	raw_buf(&r, 65536, &buf, &err);
	fflush(stdout);
	for (int i = 0; i < 3; i++) {
		pid[i] = fork();
		if (!pid[i])
			gorge();
	}
	for (int i = 0; i < 101; i++) {
		us[i] = infer(&r, &m, t, buf);
		worst = us[i] > worst ? us[i] : worst;
		storm_sleep_ms(3);
	}
	qsort(us, 101, sizeof(us[0]), by_size);
	diag("beside three that have and free 256 MiB: median %lld us, worst %lld us", us[50], worst);
	ok(us[0] > 0, "a tenant is served beside those that want much memory");
	for (int i = 0; i < 3; i++) {
		kill(pid[i], SIGKILL);
		waitpid(pid[i], NULL, 0);
	}
	for (int i = 0; i < 2000 && (daemon_status(&d, "tenants") > 1 || charged() > 65536); i++)
		storm_sleep_ms(5);
	is_int(charged(), 65536, "killed in the middle of it, they leave nothing behind");
	ok(raw_buf(&r, 64 << 20, &buf, &err), "large buffers can still be had");
	raw_close(&r);
}

/* Descriptors nobody asked for, as many as a message can carry. */
static void test_descriptors(void)
{
	int before = 0, after = 0, fds[253];
	char ctl[CMSG_SPACE(sizeof(fds))] = { 0 };
	struct cmsghdr *c = (struct cmsghdr *)ctl;
	uint8_t msg[64] = { 1 };
	struct iovec iov = { msg, sizeof(msg) };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctl,
			     .msg_controllen = sizeof(ctl) };
	static struct raw r;

	for (int i = 0; i < 253; i++)
		fds[i] = 1;
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(c), fds, sizeof(fds));
	for (int round = 0; round < 2; round++) {
		while (daemon_status(&d, "tenants"))
			storm_sleep_ms(2);
		*(round ? &after : &before) = process_files(d.pid);
		for (int i = 0; !round && i < 50; i++) {
			raw_open(&r, d.socket);
			/* The first is no message at all, the others are never read. */
			for (int k = 0; k < 4; k++)
				sendmsg(r.sock, &mh, MSG_NOSIGNAL | MSG_DONTWAIT);
			raw_close(&r);
		}
	}
	/* They are closed beside what else it does. */
	for (int i = 0; i < 1000 && after > before + 1; i++) {
		storm_sleep_ms(5);
		after = process_files(d.pid);
	}
	ok(after <= before + 1, "50,000 descriptors later braidd has %d of %d", after, before);
}

static void rubbish(const char *text, size_t n, const char *words)
{
	json_t *o = daemon_answer(&d, text, n);
	const char *error = json_string_value(json_object_get(o, "error"));

	ok(error && strstr(error, words), "control: %.40s: %s", text, error ? error : "no answer");
	json_decref(o);
}

static void test_control(void)
{
	static char big[120000], huge[200000];
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int socks[200], n = 0;

	rubbish("hello", 5, "");
	rubbish("[1,2]", 5, "no \"cmd\"");
	rubbish("{\"cmd\":7}", 9, "no \"cmd\"");
	rubbish("{\"cmd\":\"dance\"}", 15, "unknown command");
	rubbish("{\"cmd\":\"\xff\xfe\"}", 11, "");
	rubbish("{\"cmd\":\"set\",\"knob\":1,\"value\":2}", 32, "both strings");
	rubbish("{\"cmd\":\"owner\",\"owner\":-1}", 26, "a number is needed");
	rubbish("{\"cmd\":\"owner\",\"owner\":1,\"weight\":\"x\"}", 38, "not a number");
	rubbish("{\"cmd\":\"models\",\"after\":\"x\"}", 28, "after");
	rubbish("{\"cmd\":\"explain\",\"window\":\"x\"}", 30, "are numbers");
	memset(big, '[', sizeof(big));
	rubbish(big, sizeof(big), "");
	snprintf(big, sizeof(big), "{\"cmd\":\"explain\",\"window\":999999,\"x\":\"%0100000d\"}", 0);
	rubbish(big, strlen(big), "not among the windows");
	memset(huge, ' ', sizeof(huge));
	rubbish(huge, sizeof(huge), "");
	strcpy(sa.sun_path, d.control);
	for (n = 0; n < 200; n++) {
		socks[n] = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
		if (connect(socks[n], (struct sockaddr *)&sa, sizeof(sa)))
			break;
		send(socks[n], "{\"cmd\":\"runner\"}", 16, MSG_NOSIGNAL);
	}
	for (int i = 0; i < n; i++)
		close(socks[i]);
	is_int(daemon_status(&d, "agent_up"), 1, "200 that ask and leave: it answers the next");
}

/* Models enough that a list of them is longer than any message. */
static void test_long_lists(void)
{
	struct fake f;
	unsigned int parts;
	char name[64];
	int n;

	fake_daemon(&d, NULL);
	fake_take(&f);
	for (n = 0; n < 1000; n++) {
		snprintf(name, sizeof(name), "model-%04d-with-a-name-of-some-length-%c", n,
			 n == 500 ? '\xff' : 'x');
		if (!fake_model(&f, name, n & 255, 64, NULL))
			break;
	}
	is_int(n, 1000, "a thousand models");
	fake_ready(&f);
	is_int(list("models", &parts), 1000, "are all listed, in %u parts", parts);
	ok(parts > 1, "which no single message could");
	/* Asked by control, the runner dies instead of answering. */
	kill(f.pid, SIGSTOP);
	fflush(stdout);
	if (!fork()) {
		storm_sleep_ms(150);
		kill(f.pid, SIGKILL);
		_exit(0);
	}
	rubbish("{\"cmd\":\"runner\"}", 16, "ended before it answered");
	wait(NULL);
	fake_drop(&f);
	is_int(daemon_stop(&d), 0, "braidd ends well");
}

static void test_reloads(void)
{
	int loaded, calm = 0;

	for (int i = 0; i < 40; i++) {
		daemon_model(&d, "tiny_mlp", "tiny_mlp", i % 2 + 1);
		kill(d.pid, SIGHUP);
		if (i % 4 == 0)
			kill(d.pid, SIGHUP);
	}
	/* Replaced ones are still there until they have drained. */
	for (int i = 0; i < 2000 && calm < 30; i++) {
		calm = daemon_status(&d, "models") == 1 ? calm + 1 : 0;
		storm_sleep_ms(10);
	}
	loaded = daemon_logged(&d, "model loaded");
	is_int(daemon_status(&d, "models"), 1, "40 reloads back and forth end with one model");
	is_int(daemon_status(&d, "runner_starts"), 1, "and the runner that was there");
	diag("%d loaded, %d back, %d unloaded", loaded, daemon_logged(&d, "model back"),
	     daemon_logged(&d, "model unloaded"));
}

int main(int argc, char **argv)
{
	static const char *const zoo[] = { "tiny_mlp", NULL };

	fake_main(argc, argv);
	daemon_start(&d, zoo, NULL);
	test_crowd();
	test_flood();
	test_gorge();
	test_descriptors();
	test_control();
	test_reloads();
	is_int(daemon_stop(&d), 0, "braidd ends well");
	test_long_lists();
	return tap_done();
}
