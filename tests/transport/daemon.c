// SPDX-License-Identifier: MIT
/*
 * A braidd for tests: see daemon.h.
 */
#include "tests/transport/daemon.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct daemon_with daemon_with;

static void bail(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

const char *built(const char *name)
{
	static char path[4][PATH_MAX];
	static int turn;
	char *p = path[turn++ % 4], *slash;
	ssize_t n = readlink("/proc/self/exe", p, PATH_MAX - 64);

	if (n < 0)
		bail("/proc/self/exe");
	p[n] = 0;
	/* This program is tests/x of the tree that name is in. */
	for (int i = 0; i < 2; i++) {
		slash = strrchr(p, '/');
		*slash = 0;
	}
	strcat(p, "/");
	strcat(p, name);
	/* In a test machine they lie somewhere else. */
	if (access(p, X_OK) && getenv("BRAID_TEST_PROGRAMS"))
		snprintf(p, PATH_MAX, "%s/%s", getenv("BRAID_TEST_PROGRAMS"), name);
	return p;
}

static void run(const char *const *argv)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		execv(argv[0], (char **)argv);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || status)
		bail(argv[0]);
}

void daemon_model(struct daemon *d, const char *zoo, const char *name, int seed)
{
	char to[160], part[176], number[16];

	snprintf(to, sizeof(to), "%s/%s.onnx", d->models, name);
	snprintf(part, sizeof(part), "%s.part", to);
	snprintf(number, sizeof(number), "%d", seed);
	run((const char *const[]){ built("braid-zoo"), zoo, "-o", part, "--seed", number, NULL });
	if (rename(part, to))
		bail(to);
}

static void limit(int what, rlim_t to)
{
	struct rlimit rl = { to, to };

	if (to)
		setrlimit(what, &rl);
}

void daemon_spawn(struct daemon *d)
{
	int log = open(d->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	const struct daemon_with *w = &daemon_with;
	const char *braidd = built("braidd");
	char usec[16];

	d->pid = fork();
	if (!d->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(w->stderr_to ? open(w->stderr_to, O_WRONLY | O_CLOEXEC) : log, 2);
		unsetenv("NOTIFY_SOCKET");
		if (w->notify)
			setenv("NOTIFY_SOCKET", w->notify, 1);
		if (w->watchdog_usec) {
			snprintf(usec, sizeof(usec), "%u", w->watchdog_usec);
			setenv("WATCHDOG_USEC", usec, 1);
		}
		limit(RLIMIT_NOFILE, w->max_files);
		limit(RLIMIT_FSIZE, w->max_file_size);
		execl(braidd, "braidd", "--config", d->config, NULL);
		_exit(127);
	}
	if (d->pid < 0)
		bail("fork");
	close(log);
}

bool daemon_over_device(void)
{
	const char *t = getenv("BRAID_TEST_TRANSPORT");

	return t && !strcmp(t, "device");
}

/* What a file of the kernel's queue says, -1: there is none. */
static long long kernel_file(const char *of, const char *name)
{
	char path[128];
	long long v = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/class/braid/braid0/%s/%s", of ? of : ".",
		 strcmp(name, "queued") ? name : "depth");
	f = fopen(path, "re");
	if (f && fscanf(f, "%lld", &v) != 1)
		v = -1;
	if (f)
		fclose(f);
	return v;
}

/* The kernel counts on from one braidd to the next: what was before. */
static struct {
	const char *of, *name;
	long long value;
} base[] = {
	{ NULL, "generation" }, { "counters", "submitted" }, { "counters", "completed" },
	{ "counters", "dropped" }, { "counters", "killed" }, { "counters", "requeued" },
	{ "counters", "withdrawn" },
};

static void count_from_here(void)
{
	for (size_t i = 0; i < sizeof(base) / sizeof(base[0]); i++)
		base[i].value = kernel_file(base[i].of, base[i].name);
}

/* Where the queue is the kernel's, so are its figures. */
static long long of_kernel(const char *of, const char *name)
{
	long long v = kernel_file(of, name);

	for (size_t i = 0; v >= 0 && i < sizeof(base) / sizeof(base[0]); i++)
		if (!strcmp(base[i].name, name) && !of == !base[i].of)
			v -= base[i].value;
	return v;
}

/* Knobs stay in the kernel when braidd goes: a test leaves them as they were. */
static struct {
	const char *name;
	char value[32];
} knobs[] = {
	{ "window_max" }, { "window_timeout_us" }, { "window_policy" }, { "fusion_policy" },
	{ "tenant_depth" }, { "max_requests" }, { "max_attempts" }, { "grace_ms" },
	{ "share_by" },
};

static FILE *knob_file(const char *name, const char *mode)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/class/braid/braid0/%s", name);
	return fopen(path, mode);
}

static void restore_knobs(void)
{
	for (size_t i = 0; i < sizeof(knobs) / sizeof(knobs[0]); i++) {
		FILE *f = *knobs[i].value ? knob_file(knobs[i].name, "we") : NULL;

		if (!f)
			continue;
		fputs(knobs[i].value, f);
		fclose(f);
	}
}

static void keep_knobs(void)
{
	static bool kept;

	if (kept) {
		restore_knobs();
		return;
	}
	for (size_t i = 0; i < sizeof(knobs) / sizeof(knobs[0]); i++) {
		FILE *f = knob_file(knobs[i].name, "re");

		if (!f)
			continue;
		if (!fgets(knobs[i].value, sizeof(knobs[i].value), f))
			*knobs[i].value = 0;
		fclose(f);
	}
	kept = true;
	atexit(restore_knobs);
}

void daemon_prepare(struct daemon *d, const char *const *zoo, const char *extra)
{
	const char *backend = getenv("BRAID_TEST_BACKEND"), *cache = getenv("BRAID_TEST_CACHE");
	FILE *f;

	strcpy(d->dir, "/tmp/braid-test-XXXXXX");
	if (!mkdtemp(d->dir))
		bail("mkdtemp");
	if (daemon_over_device()) {
		strcpy(d->socket, "/dev/braid0");
		count_from_here();
		keep_knobs();
	} else {
		snprintf(d->socket, sizeof(d->socket), "%s/q", d->dir);
	}
	snprintf(d->control, sizeof(d->control), "%s/c", d->dir);
	snprintf(d->config, sizeof(d->config), "%s/conf", d->dir);
	snprintf(d->models, sizeof(d->models), "%s/models", d->dir);
	snprintf(d->log, sizeof(d->log), "%s/log", d->dir);
	mkdir(d->models, 0700);
	for (; zoo && *zoo; zoo++)
		daemon_model(d, *zoo, *zoo, 1);
	f = fopen(d->config, "we");
	if (!f)
		bail(d->config);
	fprintf(f, "[runner]\nbackend=%s\ncompile=off\ncache_dir=%s\n[braidd]\ntransport=%s\nsocket=%s\n"
		"control=%s\ngroup=\nmodel_dir=%s\n%s\n", backend ? backend : "cpu",
		cache ? cache : "",
		daemon_over_device() ? "device" : "socket", d->socket, d->control, d->models,
		extra ? extra : "");
	fclose(f);
}

/* What it ended with is left for who waits for it. */
static bool has_ended(const struct daemon *d)
{
	siginfo_t i = { 0 };

	return d->pid > 0 && !waitid(P_PID, d->pid, &i, WEXITED | WNOHANG | WNOWAIT) && i.si_pid;
}

static void say_log(const struct daemon *d)
{
	FILE *f = fopen(d->log, "re");
	char line[1024];

	while (f && fgets(line, sizeof(line), f))
		printf("# %s%s", line, strchr(line, '\n') ? "" : "\n");
	if (f)
		fclose(f);
}

void daemon_start(struct daemon *d, const char *const *zoo, const char *extra)
{
	daemon_prepare(d, zoo, extra);
	daemon_spawn(d);
	if (!daemon_wait_ready(d, 1)) {
		say_log(d);
		printf("Bail out! braidd %s\n", has_ended(d) ? "ended" : "does not serve");
		exit(1);
	}
}

json_t *daemon_answer(struct daemon *d, const void *bytes, size_t len)
{
	struct timeval tv = { .tv_sec = 10 };
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	static char buf[1 << 20];
	ssize_t n = -1;
	int fd;

	strcpy(sa.sun_path, d->control);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	if (!connect(fd, (struct sockaddr *)&sa, sizeof(sa)) &&
	    send(fd, bytes, len, MSG_NOSIGNAL) > 0)
		n = recv(fd, buf, sizeof(buf), 0);
	close(fd);
	return n > 0 ? json_loadb(buf, n, 0, NULL) : NULL;
}

json_t *daemon_ask(struct daemon *d, const char *json)
{
	json_t *o = daemon_answer(d, json, strlen(json));
	json_t *r = json_incref(json_object_get(o, "result"));

	json_decref(o);
	return r;
}

static long long member(struct daemon *d, const char *of, const char *name)
{
	long long ret = daemon_over_device() ? of_kernel(of, name) : -1;
	json_t *o, *v;

	if (ret >= 0)
		return ret;
	o = daemon_ask(d, "{\"cmd\":\"status\"}");
	v = json_object_get(of ? json_object_get(o, of) : o, name);
	if (json_is_boolean(v))
		ret = json_is_true(v);
	else if (v)
		ret = json_integer_value(v);
	json_decref(o);
	return ret;
}

long long daemon_status(struct daemon *d, const char *name)
{
	return member(d, NULL, name);
}

long long daemon_counter(struct daemon *d, const char *name)
{
	return member(d, "counters", name);
}

bool daemon_wait_ready(struct daemon *d, long long generation)
{
	for (int i = 0; i < 6000; i++) {
		struct timespec ts = { .tv_nsec = 10000000 };

		if (daemon_status(d, "agent_up") == 1 &&
		    daemon_status(d, "generation") >= generation)
			return true;
		if (has_ended(d))
			return false;
		nanosleep(&ts, NULL);
	}
	return false;
}

void daemon_kill(struct daemon *d, int sig)
{
	kill(d->pid, sig);
	waitpid(d->pid, NULL, 0);
	d->pid = 0;
}

bool daemon_kill_runner(struct daemon *d, int sig)
{
	long long pid = daemon_status(d, "runner_pid");

	return pid > 0 && !kill(pid, sig);
}

int daemon_logged(const struct daemon *d, const char *text)
{
	char line[2048];
	FILE *f = fopen(d->log, "re");
	int n = 0;

	while (f && fgets(line, sizeof(line), f))
		n += strstr(line, text) != NULL;
	if (f)
		fclose(f);
	return n;
}

int process_files(pid_t pid)
{
	char path[64];
	DIR *dir;
	int n = 0;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n;
}

int daemon_stop(struct daemon *d)
{
	int status = 0;

	if (d->pid) {
		kill(d->pid, SIGTERM);
		waitpid(d->pid, &status, 0);
	}
	if (getenv("BRAID_TEST_KEEP"))
		printf("# kept: %s\n", d->dir);
	else
		run((const char *const[]){ "/bin/rm", "-rf", d->dir, NULL });
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
