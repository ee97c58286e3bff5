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
#include <unistd.h>

#include "agent/check.h"
#include "agent/config.h"
#include "agent/log.h"
#include "agent/runner/runner.h"
#include "agent/supervisor/supervisor.h"

#define DEFAULT_CONFIG	"/etc/braid/braidd.conf"

struct args {
	const char *config;
	bool given;
	bool runner;
	bool check;
	const char *sms;		/* NULL: as the configuration says */
};

static const struct argp_option options[] = {
	{ "config", 'c', "FILE", 0, "configuration (" DEFAULT_CONFIG ", if it is there)", 0 },
	{ "check", 'n', NULL, 0, "read the configuration, try each model, then exit", 0 },
	{ "sms", 's', "N", 0, "use so many of the GPU's multiprocessors, 0: all; before [runner] sms", 0 },
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
	case 's':
		a->sms = arg;
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
	if (a.sms && config_sms(&cfg, a.sms)) {
		fprintf(stderr, "braidd: --sms: a number from 0 to %u, not '%s'\n", CONFIG_SMS, a.sms);
		return 2;
	}
	if (a.check)
		return check(&cfg, a.config);
	/* A log that nobody reads, or a limit on files, is an error and no end. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	log_open(a.runner ? "runner" : "braidd", cfg.log_level);
	if (a.runner)
		return runner_main(&cfg);
	return supervisor_main(&cfg, a.config ? realpath(a.config, real) : NULL);
}
