// SPDX-License-Identifier: MIT
/*
 * braid-demo: the C side of the demo, a subcommand for each of its steps.
 * The script tools/demo/demo calls them in order.
 *
 * Owns the command line only.
 */
#include <stdio.h>
#include <string.h>

#include "tools/demo/golden.h"
#include "tools/demo/record.h"
#include "tools/demo/replay.h"
#include "tools/demo/scene.h"

static int do_config(int argc, char **argv)
{
	if (argc != 1)
		return -1;
	models_config(stdout, argv[0]);
	return fflush(stdout) ? 1 : 0;
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

static int do_expected(int argc, char **argv)
{
	struct golden_set set = { 0 };
	struct findings found;
	struct replay replay;
	struct scene scene;
	int err;

	if (argc != 3)
		return -1;
	if (scene_open(&scene, argv[0], argv[1]))
		return 1;
	err = golden_read(&set, argv[2]);
	if (!err) {
		replay_init(&replay, &set);
		err = scene_run(&scene, &replay.infer, &found);
		if (!err)
			findings_print(&scene, &found);
		replay_free(&replay);
	}
	golden_free(&set);
	scene_close(&scene);
	return err ? 1 : 0;
}

static const struct command {
	const char *name;
	const char *arguments;
	const char *help;
	int (*run)(int argc, char **argv);
} commands[] = {
	{ "config", "MODELS", "print braidd's config sections of the models", do_config },
	{ "expected", "DATA MODELS GOLDENS", "print what the reference found", do_expected },
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
