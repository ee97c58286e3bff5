// SPDX-License-Identifier: MIT
/*
 * braidd --check: see check.h. Keeps nothing, and leaves nothing behind.
 */
#include "agent/check.h"

#include <dirent.h>
#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/affinity.h"
#include "agent/backend/backend.h"
#include "agent/ini_lines.h"
#include "agent/runner/load.h"
#include "agent/supervisor/supervisor.h"

/* A line of the file that was read already; what it says is compared with this machine. */
struct here {
	const struct config *cfg;
	const char *path;
	struct ini_lines at;
	bool bad;
};

/* The service makes that one when it starts, so it need not be there before. */
static bool is_services(const char *dir)
{
	struct config c;

	config_defaults(&c);
	return !strcmp(dir, dirname(c.control));
}

/* May a socket be made there? */
static int check_socket(const char *path, char *why, size_t len)
{
	char copy[PATH_MAX];
	const char *dir;
	struct stat st;

	snprintf(copy, sizeof(copy), "%s", path);
	dir = dirname(copy);
	if (stat(dir, &st)) {
		if (errno == ENOENT && is_services(dir))
			return 0;
		snprintf(why, len, "%s: %s", dir, strerror(errno));
	} else if (!S_ISDIR(st.st_mode)) {
		snprintf(why, len, "%s is no folder", dir);
	} else if (!lstat(path, &st) && !S_ISSOCK(st.st_mode)) {
		snprintf(why, len, "it is there, and is no socket");
	} else {
		return 0;
	}
	return -EINVAL;
}

static int check_cpu(int cpu, char *why, size_t len)
{
	long n = sysconf(_SC_NPROCESSORS_CONF);
	cpu_set_t before;

	if (!affinity_pin(cpu, &before))
		return 0;
	if (cpu >= n)
		snprintf(why, len, "this machine has CPUs 0 to %ld", n - 1);
	else
		snprintf(why, len, "braidd may not run there");
	return -EINVAL;
}

static int check_model_dir(const char *path, char *why, size_t len)
{
	DIR *dir = opendir(path);

	if (!dir) {
		snprintf(why, len, "%s", strerror(errno));
		return -EINVAL;
	}
	closedir(dir);
	return 0;
}

static int check_key(const struct config *cfg, const char *key, char *why, size_t len)
{
	if (!strcmp(key, "cpu"))
		return check_cpu(cfg->cpu, why, len);
	if (!strcmp(key, "model_dir"))
		return check_model_dir(cfg->model_dir, why, len);
	if (!strcmp(key, "control"))
		return check_socket(cfg->control, why, len);
	if (!strcmp(key, "metrics") && *cfg->metrics == '/')
		return check_socket(cfg->metrics, why, len);
	if (!strcmp(key, "socket") && !device_wanted(cfg))
		return check_socket(cfg->socket, why, len);
	if (!strcmp(key, "transport") && device_wanted(cfg))
		return device_there(cfg, why, len);
	if (!strcmp(key, "backend") && !strcmp(cfg->backend, "cuda"))
		return cuda_usable(cfg->gpu, why, len);
	return 0;
}

static int check_line(void *user, const char *section, const char *key, const char *value)
{
	struct here *h = user;
	char why[PATH_MAX + 256];

	if (!key || (strcmp(section, "braidd") && strcmp(section, "runner")) ||
	    !check_key(h->cfg, key, why, sizeof(why)))
		return 1;
	fprintf(stderr, "braidd: %s:%d: %s = %s: %s\n", h->path, h->at.line, key, value, why);
	h->bad = true;
	return 1;
}

/* In a child: the driver of a GPU is loaded, and the CPU is changed. 0, or an exit status. */
static int check_machine(const struct config *cfg, const char *path)
{
	struct here h = { .cfg = cfg, .path = path };
	int status = 0;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid < 0) {
		fprintf(stderr, "braidd: fork: %s\n", strerror(errno));
		return 1;
	}
	if (!pid) {
		ini_lines_read(&h.at, path, check_line, &h);
		_exit(h.bad ? 2 : 0);
	}
	waitpid(pid, &status, 0);
	if (WIFSIGNALED(status)) {
		fprintf(stderr, "braidd: looking at this machine ends with signal %d\n",
			WTERMSIG(status));
		return 1;
	}
	return WEXITSTATUS(status);
}

static void bad_file(const char *path, const char *why)
{
	fprintf(stderr, "braidd: %s: %s\n", path, why);
}

/* As the runner would, short of making room for it. @why: words, also of what is only odd. */
static int import(const struct model_config *m, char *why, size_t len)
{
	struct program *p;
	int ret = program_load(m->path, &m->load, &p, why, len);

	if (ret)
		return ret;
	ret = cpu_backend_ops.supports(p, why, len);
	if (!ret)
		ret = load_publishable(p, why, len);
	if (!ret && !load_binds_batch(m, p))
		snprintf(why, len, "%s", LOAD_IDLE_BATCH);
	program_free(p);
	return ret;
}

/* In a child, so that a file that is the end of it is not the end of the check. */
static int check_model(const struct model_config *m)
{
	char why[512] = "";
	int status = 0, fds[2];
	ssize_t n;
	pid_t pid;

	if (m->why[0]) {
		printf("%s\t%s\n", m->name, m->why);
		return 1;
	}
	fflush(NULL);
	if (pipe(fds))
		goto err;
	pid = fork();
	if (pid < 0) {
		close(fds[0]);
		close(fds[1]);
		goto err;
	}
	if (!pid) {
		status = import(m, why, sizeof(why)) ? 1 : 0;
		n = write(fds[1], why, strlen(why));
		_exit(n < 0 ? 2 : status);
	}
	close(fds[1]);
	n = read(fds[0], why, sizeof(why) - 1);
	why[n < 0 ? 0 : n] = 0;
	close(fds[0]);
	waitpid(pid, &status, 0);
	if (WIFSIGNALED(status))
		snprintf(why, sizeof(why), "loading it ends with signal %d", WTERMSIG(status));
	if (status)
		printf("%s\t%s\n", m->name, *why ? why : "refused");
	else
		printf("%s\tok%s%s\n", m->name, *why ? ", but " : "", why);
	return status != 0;
err:
	printf("%s\t%s\n", m->name, strerror(errno));
	return 1;
}

int check(const struct config *cfg, const char *path)
{
	struct model_config *list;
	unsigned int n;
	int ret, bad;

	bad = path ? check_machine(cfg, path) : 0;
	if (bad)
		return bad;
	ret = models_scan(cfg->model_dir, &list, &n, bad_file);
	if (ret) {
		fprintf(stderr, "braidd: %s: %s\n", cfg->model_dir, strerror(-ret));
		return 1;
	}
	for (unsigned int i = 0; i < n; i++)
		bad |= check_model(&list[i]);
	free(list);
	return bad;
}
