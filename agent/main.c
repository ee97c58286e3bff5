// SPDX-License-Identifier: MIT
/*
 * braidd: the supervisor, or, started by it, the runner.
 */
#include <argp.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/backend/backend.h"
#include "agent/config.h"
#include "agent/log.h"
#include "agent/runner/load.h"
#include "agent/runner/runner.h"
#include "agent/supervisor/supervisor.h"

#define DEFAULT_CONFIG	"/etc/braid/braidd.conf"

struct args {
	const char *config;
	bool given;
	bool runner;
	bool check;
};

static const struct argp_option options[] = {
	{ "config", 'c', "FILE", 0, "configuration (" DEFAULT_CONFIG ", if it is there)", 0 },
	{ "check", 'n', NULL, 0, "read the configuration, try each model, then exit", 0 },
	{ "runner", 'R', NULL, OPTION_HIDDEN, "run models; braidd starts this itself", 0 },
	{ 0 }
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct args *a = state->input;

	switch (key) {
	case 'c':
		a->config = arg;
		a->given = true;
		return 0;
	case 'n':
		a->check = true;
		return 0;
	case 'R':
		a->runner = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* The C library looks for it. */
__attribute__((visibility("default"))) const char *argp_program_version = "braidd " BRAID_VERSION;

static const struct argp argp = {
	options, parse, NULL,
	"Serve many processes' inference through one context of the device.", NULL, NULL, NULL
};

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

static int check(const struct config *cfg)
{
	struct model_config *list;
	unsigned int n;
	int ret = models_scan(cfg->model_dir, &list, &n, bad_file), bad = 0;

	if (ret) {
		fprintf(stderr, "braidd: %s: %s\n", cfg->model_dir, strerror(-ret));
		return 1;
	}
	for (unsigned int i = 0; i < n; i++)
		bad |= check_model(&list[i]);
	free(list);
	return bad;
}

int main(int argc, char **argv)
{
	struct args a = { .config = DEFAULT_CONFIG };
	struct config cfg;
	char why[PATH_MAX + 256], real[PATH_MAX];
	int ret;

	argp_parse(&argp, argc, argv, 0, NULL, &a);
	ret = config_read(&cfg, a.config, why, sizeof(why));
	if (ret == -ENOENT && !a.given) {
		a.config = NULL;
		ret = 0;
	}
	if (ret) {
		fprintf(stderr, "braidd: %s\n", why);
		return a.runner ? RUNNER_CANT_START : 2;
	}
	if (a.check)
		return check(&cfg);
	/* A log that nobody reads, or a limit on files, is an error and no end. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	log_open(a.runner ? "runner" : "braidd", cfg.log_level);
	if (a.runner)
		return runner_main(&cfg);
	return supervisor_main(&cfg, a.config ? realpath(a.config, real) : NULL);
}
