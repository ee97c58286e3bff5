// SPDX-License-Identifier: MIT
/*
 * braid-demo: the C side of the demo, a subcommand for each of its steps.
 * The script tools/demo/demo calls them in order.
 *
 * Owns the command line only.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/demo/golden.h"
#include "tools/demo/live.h"
#include "tools/demo/load.h"
#include "tools/demo/record.h"
#include "tools/demo/replay.h"
#include "tools/demo/scene.h"

static int do_models(int argc, char **argv)
{
	return argc != 2 ? -1 : models_dir(argv[1], argv[0]) ? 1 : 0;
}

static int do_record(int argc, char **argv)
{
	struct findings found;
	struct record record;
	struct scene scene;
	int err;

	if (argc != 2)
		return -1;
	if (scene_open(&scene, argv[0], argv[1]))
		return 1;
	record_init(&record);
	err = scene_run(&scene, &record.infer, &found);
	scene_close(&scene);
	return err ? 1 : 0;
}

/* What most commands need: the scene, and what the reference found in it. */
struct stage {
	struct scene scene;
	struct golden_set set;
	struct replay replay;
	struct findings expected;
};

static void stage_close(struct stage *st)
{
	replay_free(&st->replay);
	golden_free(&st->set);
	scene_close(&st->scene);
}

/* From the arguments DATA MODELS. */
static int stage_open(struct stage *st, char **argv)
{
	char path[PATH_MAX];
	int err;

	memset(st, 0, sizeof(*st));
	err = scene_open(&st->scene, argv[0], argv[1]);
	if (err)
		return err;
	snprintf(path, sizeof(path), "%s/goldens.gz", argv[0]);
	err = golden_read(&st->set, path);
	if (!err) {
		replay_init(&st->replay, &st->set);
		err = scene_run(&st->scene, &st->replay.infer, &st->expected);
	}
	if (err)
		stage_close(st);
	return err;
}

static int do_expected(int argc, char **argv)
{
	struct stage st;

	if (argc != 2)
		return -1;
	if (stage_open(&st, argv))
		return 1;
	findings_print(&st.scene, &st.expected);
	stage_close(&st);
	return 0;
}

/*
 * Inputs of later models follow from answers of earlier ones, and an answer
 * may round differently on another machine. Below so many requests with the
 * recorded input, what is compared says too little.
 */
#define COMPARED_MIN	20

/*
 * What is within a wider tolerance may be on another side of a threshold, so that a
 * line is cut out otherwise: so many findings may be others then.
 */
#define LINES_OTHER	2

static int lines_allowed(void)
{
	return golden_tolerance() > GOLDEN_TOLERANCE ? LINES_OTHER : 0;
}

static int do_read(int argc, char **argv)
{
	struct findings found;
	struct stage st;
	struct live live;
	int err;

	if (argc != 3)
		return -1;
	if (stage_open(&st, argv))
		return 1;
	err = live_open(&live, argv[2], &st.set);
	if (!err) {
		err = scene_run(&st.scene, &live.infer, &found);
		if (!err) {
			findings_print(&st.scene, &found);
			printf("\n%d requests; %d had a recorded input, bit for bit: %d of these answers wrong,\n"
			       "largest relative L2 distance from ONNX Runtime's %.1e\n",
			       live.requests, live.compared, live.wrong, live.worst);
			if (live.compared < COMPARED_MIN)
				fprintf(stderr, "read: at least %d should have been compared\n",
					COMPARED_MIN);
			err = findings_differ(&found, &st.expected) > lines_allowed() || live.wrong ||
			      live.compared < COMPARED_MIN;
		}
		live_close(&live);
	}
	stage_close(&st);
	return err ? 1 : 0;
}

static int do_load(int argc, char **argv)
{
	struct load load;
	struct stage st;
	int err;

	if (argc != 5 && argc != 6)
		return -1;
	load = (struct load){
		.socket = argv[2],
		.seconds = atoi(argv[3]),
		.label = argv[4],
		.header = argc == 6,
	};
	if (load.seconds < 1 || load.seconds > 3600 || (argc == 6 && strcmp(argv[5], "header"))) {
		fprintf(stderr, "load: SECONDS must be 1 to 3600, the last word \"header\"\n");
		return -1;
	}
	if (stage_open(&st, argv))
		return 1;
	err = load_run(&load, &st.replay);
	stage_close(&st);
	return err;
}

static const struct command {
	const char *name;
	const char *arguments;
	const char *help;
	int (*run)(int argc, char **argv);
} commands[] = {
	{ "models", "MODELS DIRECTORY", "fill a model directory for braidd", do_models },
	{ "expected", "DATA MODELS", "print what the reference found", do_expected },
	{ "read", "DATA MODELS SOCKET", "run once through Braid, compare, print", do_read },
	{ "load", "DATA MODELS SOCKET SECONDS LABEL [header]",
	  "run all tenants at once, print a table", do_load },
	{ "record", "DATA MODELS", "run against a reference on stdin and stdout", do_record },
};

static int usage(void)
{
	fprintf(stderr, "usage: braid-demo COMMAND ...\n");
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		fprintf(stderr, "  %-8s %s\n           %s\n", commands[i].name,
			commands[i].arguments, commands[i].help);
	return 2;
}

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(*commands); i++) {
		int ret;

		if (strcmp(commands[i].name, argv[1]))
			continue;
		ret = commands[i].run(argc - 2, argv + 2);
		return ret < 0 ? usage() : ret;
	}
	return usage();
}
