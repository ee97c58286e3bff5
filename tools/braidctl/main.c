// SPDX-License-Identifier: MIT
/*
 * braidctl's command line.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/braidctl/ctl.h"

static const struct {
	const char *name;
	int (*run)(const struct ctl *c, int argc, char **argv);
	const char *args, *what;
} commands[] = {
	{ "status", cmd_status, "", "queue, agent and counters" },
	{ "models", cmd_models, "[NAME]", "published models, or one with its tensors" },
	{ "tenants", cmd_tenants, "[[set] ID [KEY=VALUE...|reset]]",
	  "who is connected; set: limits of the owner of one" },
	{ "owner", cmd_owner, "[[set] UID [KEY=VALUE...|reset]]",
	  "shares and quotas: weight, priority_ceiling, request_quota, byte_quota" },
	{ "monitor", cmd_monitor, "[COUNT]",
	  "events as they come: agents, tenants, requeues, knobs, stalls" },
	{ "policy", cmd_policy, "get [KNOB] | set KNOB VALUE", "knobs of window and fusion" },
	{ "explain", cmd_explain, "[window ID | request ID [tenant ID]]",
	  "why a window (default: the last) ran as it did" },
	{ "stalls", cmd_stalls, "[INTERVAL [COUNT]]",
	  "what sharing costs, live: waits by tenant and process, switches of the GPU" },
	{ "trace", cmd_trace, "FILE [SECONDS]",
	  "record what happens for a while (5 s), for Perfetto or chrome://tracing" },
	{ "doctor", cmd_doctor, "", "what this kernel, driver and privilege allow, and why not" },
	{ "runner", cmd_runner, "", "the agent's own figures" },
	{ "reload", cmd_reload, "", "look at the model directory again" },
};

static void usage(FILE *f)
{
	fprintf(f, "usage: braidctl [--json] [--socket PATH] COMMAND [ARGUMENTS]\n\n");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		fprintf(f, "  %s %s\n", commands[i].name, commands[i].args);
		fprintf(f, "        %s\n", commands[i].what);
	}
	fprintf(f, "\nsocket: --socket, else $BRAID_CONTROL, else /run/braid/control.sock\n");
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "socket", required_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ 0 }
	};
	struct ctl c = { 0 };
	int opt;

	/* Options may also follow the command: getopt permutes. */
	while ((opt = getopt_long(argc, argv, "js:hV", options, NULL)) != -1) {
		switch (opt) {
		case 'j':
			c.json = true;
			break;
		case 's':
			c.socket = optarg;
			break;
		case 'h':
			usage(stdout);
			return 0;
		case 'V':
			printf("braidctl " BRAID_VERSION "\n");
			return 0;
		default:
			usage(stderr);
			return 2;
		}
	}
	for (size_t i = 0; optind < argc && i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(argv[optind], commands[i].name))
			continue;
		source_find(&c);
		return commands[i].run(&c, argc - optind - 1, argv + optind + 1);
	}
	if (optind < argc)
		fprintf(stderr, "braidctl: no command '%s'\n", argv[optind]);
	usage(stderr);
	return 2;
}
