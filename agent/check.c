// SPDX-License-Identifier: MIT
/*
 * braidd --check: see check.h. Keeps nothing, and leaves nothing behind.
 */
#include "agent/check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/backend/backend.h"
#include "agent/runner/load.h"

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
