// SPDX-License-Identifier: MIT
/*
 * The dictionary inside a recognizer's ONNX file.
 *
 * Immutable once read. The file's hash was checked when it was fetched, but
 * it is parsed as any other file: lengths come from protobuf-c, never from
 * the text.
 */
#include "tools/demo/dict.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "onnx.pb-c.h"

static uint8_t *read_file(const char *path, size_t *len)
{
	uint8_t *data = NULL;
	FILE *f = fopen(path, "rb");
	long size;

	if (!f)
		return NULL;
	if (fseek(f, 0, SEEK_END) == 0) {
		size = ftell(f);
		rewind(f);
		if (size > 0)
			data = malloc(size);
		if (data && fread(data, 1, size, f) != (size_t)size) {
			free(data);
			data = NULL;
			errno = EIO;
		}
		*len = size;
	}
	fclose(f);
	return data;
}

/* Split at newlines, in place; a letter each, then the space. */
static int split(struct dict *dict)
{
	char *line = dict->text;

	dict->letters = calloc(strlen(dict->text) + 2, sizeof(*dict->letters));
	if (!dict->letters)
		return -ENOMEM;
	while (line && *line) {
		char *end = strchr(line, '\n');

		if (end)
			*end++ = '\0';
		dict->letters[dict->count++] = line;
		line = end;
	}
	dict->letters[dict->count++] = " ";
	return 0;
}

int dict_read(struct dict *dict, const char *path, int count)
{
	Onnx__ModelProto *model = NULL;
	uint8_t *data;
	size_t len = 0;
	int err = -EINVAL;

	memset(dict, 0, sizeof(*dict));
	data = read_file(path, &len);
	if (!data) {
		err = errno ? -errno : -EIO;
		fprintf(stderr, "%s: %s\n", path, strerror(-err));
		return err;
	}
	model = onnx__model_proto__unpack(NULL, len, data);
	free(data);
	if (!model) {
		fprintf(stderr, "%s: not an ONNX model\n", path);
		return err;
	}
	for (size_t i = 0; i < model->n_metadata_props; i++) {
		const Onnx__StringStringEntryProto *entry = model->metadata_props[i];

		if (!entry->key || strcmp(entry->key, "character") || !entry->value)
			continue;
		dict->text = strdup(entry->value);
		err = dict->text ? split(dict) : -ENOMEM;
		break;
	}
	onnx__model_proto__free_unpacked(model, NULL);
	if (err) {
		fprintf(stderr, "%s: no dictionary in metadata_props \"character\"\n", path);
	} else if (dict->count != count) {
		fprintf(stderr, "%s: dictionary has %d letters, the model's classes ask for %d\n",
			path, dict->count, count);
		err = -EINVAL;
	}
	if (err)
		dict_free(dict);
	return err;
}

void dict_free(struct dict *dict)
{
	free(dict->letters);
	free(dict->text);
	memset(dict, 0, sizeof(*dict));
}

const char *dict_letter(const struct dict *dict, int i)
{
	return i >= 0 && i < dict->count ? dict->letters[i] : "?";
}
