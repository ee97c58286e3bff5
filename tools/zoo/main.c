// SPDX-License-Identifier: MIT
/*
 * braid-zoo: write ONNX models of known architectures with seeded weights.
 *
 * Owns the command line and the files: a model appears under its name only
 * when it is complete. A name that is a pipe's or a device's stays that.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "models.h"

#define MAX_BATCH	1024
#define MIN_SIZE	32
#define MAX_SIZE	2048

static void usage(FILE *f)
{
	fprintf(f,
		"usage: braid-zoo NAME [-o FILE] [options]\n"
		"       braid-zoo --all DIR [options]\n"
		"       braid-zoo --list\n"
		"\n"
		"Write ONNX models that are true to their architecture, with seeded weights.\n"
		"The same options give the same bytes on every machine.\n"
		"\n"
		"  -o, --output FILE   where to write, - for stdout (default NAME.onnx)\n"
		"  -a, --all DIR       write every model as DIR/NAME.onnx\n"
		"  -l, --list          name the models\n"
		"  -s, --seed N        of the weights (default %d)\n"
		"  -b, --batch N       leading extent of inputs and outputs, or \"free\" (default 1)\n"
		"      --size N        height and width of an image model's input (default 224,\n"
		"                      tiny_cnn 32)\n"
		"      --opset N       13 to 17 (default %d); layer normalisation is one node\n"
		"                      from 17 on\n"
		"      --fold          fold batch normalisation into the convolutions\n"
		"  -h, --help          this text\n",
		ZOO_DEFAULT_SEED, ZOO_DEFAULT_OPSET);
}

/* A number in [@low, @high], or the end with a message. */
static uint64_t number(const char *option, const char *s, uint64_t low, uint64_t high)
{
	char *end;
	uint64_t v;

	errno = 0;
	v = strtoull(s, &end, 0);
	if (errno || end == s || *end || *s == '-' || v < low || v > high) {
		fprintf(stderr, "braid-zoo: --%s %s: expected a number from %llu to %llu\n",
			option, s, (unsigned long long)low, (unsigned long long)high);
		exit(2);
	}
	return v;
}

/* A pipe or a device is written to: renaming would put a file in its place. */
static int write_into(const struct zoo *z, const char *path)
{
	FILE *f = fopen(path, "we");
	int ret;

	if (!f)
		return -errno;
	ret = zoo_write(z, f);
	if (fclose(f) && !ret)
		ret = -errno;
	return ret;
}

static int write_to(const struct zoo *z, const char *path)
{
	struct stat st;
	char *tmp;
	FILE *f;
	int ret;

	if (!strcmp(path, "-"))
		return zoo_write(z, stdout);
	if (!stat(path, &st) && !S_ISREG(st.st_mode))
		return write_into(z, path);
	if (asprintf(&tmp, "%s.%ld.tmp", path, (long)getpid()) < 0)
		return -ENOMEM;
	f = fopen(tmp, "wxe");
	if (!f) {
		ret = -errno;
		goto out;
	}
	ret = zoo_write(z, f);
	if (fclose(f) && !ret)
		ret = -errno;
	if (!ret && rename(tmp, path))
		ret = -errno;
	if (ret)
		unlink(tmp);
out:
	free(tmp);
	return ret;
}

static int make(const struct zoo_entry *e, const struct zoo_options *opt, const char *path)
{
	struct zoo *z = zoo_new(e->name, opt);
	int ret;

	e->build(z);
	ret = write_to(z, path);
	zoo_free(z);
	if (ret)
		fprintf(stderr, "braid-zoo: writing %s to %s: %s\n", e->name, path,
			strerror(-ret));
	return ret;
}

static int make_all(const struct zoo_options *opt, const char *dir)
{
	int ret = 0;

	if (mkdir(dir, 0777) && errno != EEXIST) {
		fprintf(stderr, "braid-zoo: making the folder %s: %s\n", dir, strerror(errno));
		return -errno;
	}
	for (size_t i = 0; i < zoo_n_models && !ret; i++) {
		char *path;

		if (asprintf(&path, "%s/%s.onnx", dir, zoo_models[i].name) < 0)
			return -ENOMEM;
		ret = make(&zoo_models[i], opt, path);
		free(path);
	}
	return ret;
}

enum { OPT_SIZE = 256, OPT_OPSET, OPT_FOLD };

static const struct option options[] = {
	{ "output", required_argument, NULL, 'o' },
	{ "all", required_argument, NULL, 'a' },
	{ "list", no_argument, NULL, 'l' },
	{ "seed", required_argument, NULL, 's' },
	{ "batch", required_argument, NULL, 'b' },
	{ "size", required_argument, NULL, OPT_SIZE },
	{ "opset", required_argument, NULL, OPT_OPSET },
	{ "fold", no_argument, NULL, OPT_FOLD },
	{ "help", no_argument, NULL, 'h' },
	{ }
};

int main(int argc, char **argv)
{
	struct zoo_options opt = {
		.seed = ZOO_DEFAULT_SEED, .batch = 1, .opset = ZOO_DEFAULT_OPSET,
	};
	const char *output = NULL, *all = NULL;
	const struct zoo_entry *e;
	char *path;
	int c, ret;

	while ((c = getopt_long(argc, argv, "o:a:ls:b:h", options, NULL)) != -1) {
		switch (c) {
		case 'o':
			output = optarg;
			break;
		case 'a':
			all = optarg;
			break;
		case 'l':
			for (size_t i = 0; i < zoo_n_models; i++)
				printf("%-16s %s\n", zoo_models[i].name, zoo_models[i].what);
			return 0;
		case 's':
			opt.seed = number("seed", optarg, 0, UINT64_MAX);
			break;
		case 'b':
			opt.batch = strcmp(optarg, "free")
					    ? (int64_t)number("batch", optarg, 1, MAX_BATCH)
					    : ZOO_FREE;
			break;
		case OPT_SIZE:
			opt.size = number("size", optarg, MIN_SIZE, MAX_SIZE);
			break;
		case OPT_OPSET:
			opt.opset = number("opset", optarg, 13, 17);
			break;
		case OPT_FOLD:
			opt.fold = true;
			break;
		case 'h':
			usage(stdout);
			return 0;
		default:
			usage(stderr);
			return 2;
		}
	}
	if (all && optind == argc && !output)
		return make_all(&opt, all) ? 1 : 0;
	if (all || optind != argc - 1) {
		usage(stderr);
		return 2;
	}
	e = zoo_find(argv[optind]);
	if (!e) {
		fprintf(stderr, "braid-zoo: no model is called \"%s\"; braid-zoo --list names them\n",
			argv[optind]);
		return 2;
	}
	if (output)
		return make(e, &opt, output) ? 1 : 0;
	if (asprintf(&path, "%s.onnx", e->name) < 0)
		return 1;
	ret = make(e, &opt, path);
	free(path);
	return ret ? 1 : 0;
}
