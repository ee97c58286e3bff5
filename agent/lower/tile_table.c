// SPDX-License-Identifier: MIT
/*
 * Measured tables of tiles, see tiles.h. What is built in is read once.
 */
#include "agent/lower/tiles.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ROWS	8192u
#define MAX_TEXT	(4u << 20)

/* The text of kernels/tiles.txt. */
extern const char gpu_tiles_text[];

static struct gpu_tiles none, *builtin = &none;
static uint32_t builtin_sm, builtin_sms;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static bool same_shape(const struct tile_row *a, const struct tile_row *b)
{
	return a->m == b->m && a->n == b->n && a->k == b->k && a->groups == b->groups &&
	       a->kind == b->kind;
}

static int add(struct gpu_tiles *t, const struct tile_row *row)
{
	struct tile_row *rows;

	for (uint32_t i = 0; i < t->n; i++)
		if (same_shape(&t->rows[i], row)) {
			if (row->ns < t->rows[i].ns)
				t->rows[i] = *row;
			return 0;
		}
	if (t->n == MAX_ROWS)
		return -EINVAL;
	if (!(t->n & (t->n - 1))) {
		rows = realloc(t->rows, (t->n ? 2 * (size_t)t->n : 1) * sizeof(*rows));
		if (!rows)
			return -ENOMEM;
		t->rows = rows;
	}
	t->rows[t->n++] = *row;
	return 0;
}

/* Behind the word "tile". */
static int read_row(const char *line, struct tile_row *row)
{
	unsigned int kind, split;
	char name[16];
	int end = 0;

	if (sscanf(line, "%u %u %u %u %u %15s %u %lf%n", &row->m, &row->n, &row->k, &row->groups, &kind,
		   name, &split, &row->ns, &end) != 8 || (line[end] && line[end] != '\n'))
		return -EINVAL;
	if (!row->m || !row->n || !row->k || !row->groups || kind > TILE_SCALED || !split || split > 64)
		return -EINVAL;
	row->kind = (enum tile_kind)kind;
	row->choice.split = split;
	for (uint32_t i = 0; i < n_tile_infos; i++)
		if (!strcmp(tile_infos[i].name, name)) {
			row->choice.tile = i;
			return 0;
		}
	return -EINVAL;
}

int tile_table_read(const char *from, uint32_t sm, uint32_t n_sms, struct gpu_tiles **out)
{
	struct gpu_tiles *t = calloc(1, sizeof(*t));
	bool mine = false;
	int ret = t ? 0 : -ENOMEM;

	for (const char *line = from; *line && !ret; line += *line == '\n') {
		unsigned int its_sm, its_sms;
		struct tile_row row = { 0 };

		if (!strncmp(line, "tiles ", 6)) {
			if (sscanf(line, "tiles %u %u", &its_sm, &its_sms) != 2)
				ret = -EINVAL;
			else
				mine = its_sm == sm && its_sms == n_sms;
		} else if (mine && !strncmp(line, "tile ", 5)) {
			ret = read_row(line + 5, &row);
			if (!ret)
				ret = add(t, &row);
		}
		line += strcspn(line, "\n");
	}
	if (ret)
		tile_table_free(t);
	else
		*out = t;
	return ret;
}

void tile_table_free(struct gpu_tiles *t)
{
	if (t)
		free(t->rows);
	free(t);
}

static char *text_of(FILE *f)
{
	char *text = malloc(MAX_TEXT + 1);
	size_t n = text ? fread(text, 1, MAX_TEXT + 1, f) : 0;

	if (!text || ferror(f) || n > MAX_TEXT) {
		errno = !text ? ENOMEM : n > MAX_TEXT ? EFBIG : errno ? errno : EIO;
		free(text);
		return NULL;
	}
	text[n] = 0;
	return text;
}

int gpu_tiles_read(const char *path, uint32_t sm, uint32_t n_sms, struct gpu_tiles **out)
{
	FILE *f = fopen(path, "re");
	char *text;
	int ret;

	*out = NULL;
	if (!f)
		return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
	text = text_of(f);
	ret = text ? tile_table_read(text, sm, n_sms, out) : -errno;
	if (!ret && !(*out)->n) {
		gpu_tiles_free(*out);
		*out = NULL;
	}
	free(text);
	fclose(f);
	return ret;
}

void gpu_tiles_free(struct gpu_tiles *t)
{
	tile_table_free(t);
}

/* Of all that is built in, the first device's; a broken text is found by a test. */
static void read_builtin(void)
{
	struct gpu_tiles *t;

	if (sscanf(gpu_tiles_text, "%*[^\n]\ntiles %u %u", &builtin_sm, &builtin_sms) == 2 &&
	    !tile_table_read(gpu_tiles_text, builtin_sm, builtin_sms, &t))
		builtin = t;
}

const struct gpu_tiles *tile_table_builtin(uint32_t sm, uint32_t n_sms)
{
	pthread_once(&once, read_builtin);
	return sm == builtin_sm && n_sms == builtin_sms ? builtin : &none;
}
