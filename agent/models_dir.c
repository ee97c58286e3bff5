// SPDX-License-Identifier: MIT
/*
 * The model directory: see config.h. Keeps nothing.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/config.h"
#include "agent/ini_lines.h"

struct scan {
	const char *dir;
	struct dirent **list;
	int count;
	struct model_config *models;
	unsigned int n, room;
	void (*bad)(const char *path, const char *why);
};

struct model_reader {
	struct model_config *m;
	char file[NAME_MAX + 1];
	char why[192];
};

/* 3x224x224 */
static int parse_shape(const char *s, struct load_shape *shape)
{
	char *end;

	shape->rank = 0;
	for (;;) {
		long long v = strtoll(s, &end, 10);

		if (end == s || v < 1 || v > INT32_MAX || shape->rank == PROG_MAX_RANK)
			return -EINVAL;
		shape->dims[shape->rank++] = v;
		if (!*end)
			return 0;
		if (*end != 'x')
			return -EINVAL;
		s = end + 1;
	}
}

static int keep_name(struct model_config *m, const char *name, char kind)
{
	if (m->n_names == 32 || !*name || strlen(name) >= BRAID_TENSOR_NAME_MAX)
		return -EINVAL;
	m->kinds[m->n_names] = kind;
	strcpy(m->names[m->n_names++], name);
	return 0;
}

static int set_binding(struct model_config *m, const char *key, const char *value)
{
	bool shape = !strncmp(key, "shape.", 6);
	char *end;

	if (keep_name(m, key + 6, *key))
		return -EINVAL;
	if (shape) {
		struct load_shape *s = &m->shapes[m->load.n_shapes];

		if (m->load.n_shapes == 16 || parse_shape(value, s))
			return -EINVAL;
		m->load.n_shapes++;
	} else {
		struct load_const *k = &m->consts[m->load.n_consts];

		if (m->load.n_consts == 16)
			return -EINVAL;
		k->value = strtod(value, &end);
		if (end == value || *end)
			return -EINVAL;
		m->load.n_consts++;
	}
	return 0;
}

static int handle(void *user, const char *section, const char *name, const char *value)
{
	struct model_reader *r = user;
	char *end;
	long v;

	if (r->why[0])		/* the first one counts */
		return 1;
	if (!name)		/* a section by itself */
		return 1;
	if (strcmp(section, "model")) {
		snprintf(r->why, sizeof(r->why), "unknown section [%s]", section);
		return 0;
	}
	if (!strcmp(name, "file")) {
		if (!*value || strlen(value) >= sizeof(r->file) || strchr(value, '/'))
			goto bad;
		strcpy(r->file, value);
		return 1;
	}
	if (!strcmp(name, "batch") || !strcmp(name, "max_degree")) {
		v = strtol(value, &end, 10);
		if (end == value || *end || v < 1 || v > BRAID_MAX_BATCH)
			goto bad;
		if (*name == 'b')
			r->m->load.batch = v;
		else
			r->m->max_degree = v;
		return 1;
	}
	if (!strcmp(name, "precision")) {
		r->m->precision = !strcmp(value, "fp16") ? 16 :
				  !strcmp(value, "fp32") ? 32 :
				  !strcmp(value, "auto") ? PRECISION_AUTO : 0;
		if (!r->m->precision)
			goto bad;
		return 1;
	}
	if (!strncmp(name, "shape.", 6) || !strncmp(name, "const.", 6)) {
		if (set_binding(r->m, name, value))
			goto bad;
		return 1;
	}
	snprintf(r->why, sizeof(r->why), "unknown key '%s'", name);
	return 0;
bad:
	snprintf(r->why, sizeof(r->why), "'%s' can't be %s", value, name);
	return 0;
}

static bool has_suffix(const char *name, const char *suffix)
{
	size_t n = strlen(name), k = strlen(suffix);

	return n > k && !strcmp(name + n - k, suffix);
}

static struct model_config *add_model(struct scan *s)
{
	struct model_config *m;

	if (s->n == s->room) {
		s->room = s->room ? s->room * 2 : 16;
		m = realloc(s->models, s->room * sizeof(*m));
		if (!m)
			return NULL;
		s->models = m;
	}
	m = &s->models[s->n++];
	memset(m, 0, sizeof(*m));
	m->load.passes = true;
	return m;
}

static void refuse(struct scan *s, const char *path, const char *why)
{
	if (s->bad)
		s->bad(path, why);
}

static int base_name(struct scan *s, const char *file, const char *suffix, const char *path,
		     char *name)
{
	size_t n = strlen(file) - strlen(suffix);

	if (n >= BRAID_NAME_MAX) {
		refuse(s, path, "name of the model is too long");
		return -EINVAL;
	}
	memcpy(name, file, n);
	name[n] = 0;
	return 0;
}

/* What the .ini says wrong is kept with the model, which is so left out as a whole. */
static int read_ini(struct scan *s, const char *file)
{
	struct model_reader r = { 0 };
	struct ini_lines at;
	char path[PATH_MAX];
	int ret;

	if (snprintf(path, sizeof(path), "%s/%s", s->dir, file) >= (int)sizeof(path))
		return 0;
	r.m = add_model(s);
	if (!r.m)
		return -ENOMEM;
	if (base_name(s, file, ".ini", path, r.m->name)) {
		s->n--;
		return 0;
	}
	snprintf(r.file, sizeof(r.file), "%s.onnx", r.m->name);
	ret = ini_lines_read(&at, path, handle, &r);
	if (ret < 0)
		snprintf(r.m->why, sizeof(r.m->why), "%s: %s", file, strerror(-ret));
	else if (ret && ret == at.too_long)
		snprintf(r.m->why, sizeof(r.m->why), "%s:%d: the line is too long", file, ret);
	else if (ret)
		snprintf(r.m->why, sizeof(r.m->why), "%s:%d: %s", file, ret,
			 r.why[0] ? r.why : "neither [section] nor key = value");
	else if (snprintf(r.m->path, sizeof(r.m->path), "%s/%s", s->dir, r.file) >=
		 (int)sizeof(r.m->path))
		snprintf(r.m->why, sizeof(r.m->why), "%s: path too long", r.file);
	return 0;
}

static bool has_ini(const struct scan *s, const char *name)
{
	size_t n = strlen(name);

	for (int i = 0; i < s->count; i++)
		if (!strncmp(s->list[i]->d_name, name, n) &&
		    !strcmp(s->list[i]->d_name + n, ".ini"))
			return true;
	return false;
}

static int take_onnx(struct scan *s, const char *file)
{
	char path[PATH_MAX];
	struct model_config *m;

	if (snprintf(path, sizeof(path), "%s/%s", s->dir, file) >= (int)sizeof(path))
		return 0;
	m = add_model(s);
	if (!m)
		return -ENOMEM;
	/* One whose .ini was refused is not to be served without it. */
	if (base_name(s, file, ".onnx", path, m->name) || has_ini(s, m->name)) {
		s->n--;
		return 0;
	}
	strcpy(m->path, path);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct model_config *)a)->name,
		      ((const struct model_config *)b)->name);
}

int models_scan(const char *dir, struct model_config **out, unsigned int *n,
		void (*bad)(const char *path, const char *why))
{
	struct scan s = { .dir = dir, .bad = bad };
	int ret = 0;

	*out = NULL;
	*n = 0;
	s.count = scandir(dir, &s.list, NULL, alphasort);
	if (s.count < 0)
		return -errno;
	for (int i = 0; i < s.count && !ret; i++)
		if (has_suffix(s.list[i]->d_name, ".ini"))
			ret = read_ini(&s, s.list[i]->d_name);
	for (int i = 0; i < s.count && !ret; i++)
		if (has_suffix(s.list[i]->d_name, ".onnx"))
			ret = take_onnx(&s, s.list[i]->d_name);
	for (int i = 0; i < s.count; i++)
		free(s.list[i]);
	free(s.list);
	if (ret) {
		free(s.models);
		return ret;
	}
	/* Only now do the structures stay where they are. */
	if (s.n)
		qsort(s.models, s.n, sizeof(s.models[0]), by_name);
	for (unsigned int i = 0; i < s.n; i++) {
		struct model_config *m = &s.models[i];
		unsigned int used_shapes = 0, used_consts = 0;

		m->load.shapes = m->shapes;
		m->load.consts = m->consts;
		for (unsigned int k = 0; k < m->n_names; k++) {
			/* Names were kept in the order of their keys, of both kinds. */
			if (m->kinds[k] == 's')
				m->shapes[used_shapes++].input = m->names[k];
			else
				m->consts[used_consts++].input = m->names[k];
		}
	}
	*out = s.models;
	*n = s.n;
	return 0;
}
