// SPDX-License-Identifier: MIT
/*
 * Golden files: all that are committed can be read, their requests' outputs
 * differ, inputs are drawn as the recorder draws them, damaged files are
 * refused with words.
 */
#include "tests/golden.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "tests/tap.h"

#define FOLDER		"tests/goldens"
#define TOLERANCE	1e-4

static void test_file(const char *name)
{
	double apart = INFINITY;
	struct golden g;
	char path[300];

	snprintf(path, sizeof(path), "%s/%s", FOLDER, name);
	if (!ok(!golden_read(&g, path), "%s is read", name))
		return;
	ok(g.n_requests >= 4 && g.n_in && g.n_out && strlen(g.sha256) == 64,
	   "%s: %d requests, %d inputs, %d outputs", name, g.n_requests, g.n_in, g.n_out);
	for (int i = 0; i < g.n_requests; i++) {
		for (int j = 0; j < g.n_requests; j++) {
			for (int o = 0; o < g.n_out && i != j; o++) {
				double d = golden_apart(&g, i, j, o);

				apart = d < apart ? d : apart;
			}
		}
	}
	ok(apart >= 0.1, "%s: outputs of different requests are %.2g apart", name, apart);
	golden_free(&g);
}

/* Values computed by tools/goldens/seeded.py. */
static void test_inputs(void)
{
	struct golden_tensor t = { .name = "input", .rank = 4, .dims = { 1, 3, 40, 24 },
				   .elems = 2880, .kind = DRAW_IMAGE };
	static float image[2880];
	int64_t ids[32];

	golden_input(&t, 1, image);
	ok(image[0] == 0.771224618f && image[1000] == 2.04630208f && image[2879] == 0.595286727f,
	   "an image is drawn as recorded: %.9g %.9g %.9g", image[0], image[1000], image[2879]);
	t.kind = DRAW_NORMAL;
	golden_input(&t, 2, image);
	ok(image[0] == 0.516343355f && image[2879] == 0.89866519f,
	   "a normal tensor is drawn as recorded: %.9g %.9g", image[0], image[2879]);

	t = (struct golden_tensor){ .name = "input_ids", .int64 = true, .rank = 2,
				    .dims = { 2, 16 }, .elems = 32, .kind = DRAW_BELOW,
				    .bound = 30522 };
	golden_input(&t, 3, ids);
	ok(ids[0] == 12992 && ids[31] == 8095, "ids are drawn as recorded: %lld %lld",
	   (long long)ids[0], (long long)ids[31]);
	t.kind = DRAW_MASK;
	golden_input(&t, 3, ids);
	for (int r = 0; r < 2; r++) {
		int ones = 0, first = 0;

		for (int i = 0; i < 16; i++)
			ones += ids[16 * r + i];
		while (first < 16 && ids[16 * r + first])
			first++;
		is_int(first, r ? 14 : 11, "a mask is drawn as recorded");
		is_int(ones, first, "a mask is ones, then zeros");
	}
}

static void test_distance(void)
{
	float values[3] = { 3, 0, 4 }, got[3] = { 3, 0, 4 };
	struct golden g = { .n_in = 1, .n_out = 1, .n_requests = 1, .per_request = 3,
			    .values = values, .out = { { .elems = 3, .kept = 3 } } };

	ok(golden_distance(&g, 0, 0, got) == 0, "no distance from itself");
	got[1] = 0.5;
	ok(fabs(golden_distance(&g, 0, 0, got) - 0.1) < 1e-12, "a tenth off is 0.1");
	got[1] = NAN;
	ok(isinf(golden_distance(&g, 0, 0, got)), "no number is infinitely far");
}

/* A copy of a golden file with one thing changed must be refused. */
static void test_damage(void)
{
	static const struct { const char *what, *from, *to; long cut; } damage[] = {
		{ "another version", "braid-golden 1", "braid-golden 2", 0 },
		{ "an unknown line", "sha256 ", "sha257 ", 0 },
		{ "an unknown kind of input", " normal", " strange", 0 },
		{ "an unknown type", "float", "fluid", 0 },
		{ "too high a rank", "float 2", "float 9", 0 },
		{ "more kept than there is", " 32 32", " 32 99", 0 },
		{ "an extent of zero", " 1 64", " 0 64", 0 },
		{ "no end of the head", "end\n", "end ", 0 },
		{ "values missing", "", "", 2 },
		{ "values too many", "", "", -1 },
	};
	char path[] = "/tmp/braid-golden-XXXXXX", data[4096];
	int fd = mkstemp(path), words;
	FILE *f = fopen(FOLDER "/tiny_mlp.golden", "re");
	size_t n = f ? fread(data, 1, sizeof(data) - 1, f) : 0;
	struct golden g;

	if (f)
		fclose(f);
	if (!ok(fd >= 0 && n > 400 && n < sizeof(data) - 1, "a file to damage"))
		return;
	close(fd);
	words = dup(STDERR_FILENO);
	for (size_t i = 0; i < sizeof(damage) / sizeof(damage[0]); i++) {
		const size_t from = strlen(damage[i].from), to = strlen(damage[i].to);
		char *at = from ? memmem(data, n, damage[i].from, from) : data;
		size_t before = at - data;

		f = fopen(path, "we");
		if (!at || !f) {
			ok(false, "%s: could not be made", damage[i].what);
			continue;
		}
		fwrite(data, 1, before, f);
		fwrite(damage[i].to, 1, to, f);
		fwrite(at + from, 1, n - before - from - (damage[i].cut > 0 ? damage[i].cut : 0),
		       f);
		if (damage[i].cut < 0)
			fputc(0, f);
		fclose(f);
		if (freopen("/dev/null", "we", stderr))
			ok(golden_read(&g, path) == -EINVAL, "refused: %s", damage[i].what);
		fflush(stderr);
		dup2(words, STDERR_FILENO);
	}
	close(words);
	unlink(path);
	ok(golden_read(&g, "tests/goldens/none.golden") == -ENOENT, "refused: no such file");
}

int main(void)
{
	struct dirent *e;
	DIR *d = opendir(FOLDER);
	int n = 0;

	if (!d) {
		perror(FOLDER);
		return 1;
	}
	while ((e = readdir(d))) {
		const char *dot = strrchr(e->d_name, '.');

		if (!dot || strcmp(dot, ".golden"))
			continue;
		test_file(e->d_name);
		n++;
	}
	closedir(d);
	ok(n >= 11, "%d golden files", n);
	test_inputs();
	test_distance();
	test_damage();
	return tap_done();
}
