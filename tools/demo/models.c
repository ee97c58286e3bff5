// SPDX-License-Identifier: MIT
/*
 * The one table of the demo's models. Everything about shapes is read off
 * it: braidd's config, the buffers, the recorded outputs.
 *
 * Constant data, no state.
 */
#include "tools/demo/models.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tools/demo/ocr_det.h"
#include "tools/demo/ocr_line.h"
#include "tools/demo/vad.h"

#define REC_MODEL(width)							\
	{									\
		.name = "ocr-rec-" #width,					\
		.file = "ch_PP-OCRv4_rec_infer.onnx",				\
		.n_in = 1,							\
		.n_out = 1,							\
		.classes = true,						\
		.in = { { "x", 4, { 1, 3, LINE_HEIGHT, width } } },		\
		.out = { { "softmax_11.tmp_0", 3, { 1, width / 8, REC_CLASSES } } }, \
	}

const struct demo_model demo_models[MODEL_COUNT] = {
	[MODEL_DET] = {
		.name = "ocr-det",
		.file = "ch_PP-OCRv4_det_infer.onnx",
		.n_in = 1,
		.n_out = 1,
		.in = { { "x", 4, { 1, 3, DET_HEIGHT, DET_WIDTH } } },
		.out = { { "sigmoid_0.tmp_0", 4, { 1, 1, DET_HEIGHT, DET_WIDTH } } },
	},
	[MODEL_CLS] = {
		.name = "ocr-cls",
		.file = "ch_ppocr_mobile_v2.0_cls_infer.onnx",
		.n_in = 1,
		.n_out = 1,
		.classes = true,
		.in = { { "x", 4, { 1, 3, LINE_HEIGHT, CLS_WIDTH } } },
		.out = { { "save_infer_model/scale_0.tmp_1", 2, { 1, 2 } } },
	},
	[MODEL_REC_SHORT] = REC_MODEL(640),
	[MODEL_REC_LONG] = REC_MODEL(1152),
	[MODEL_VAD] = {
		.name = "vad",
		.file = "silero_vad_openvino_16k.onnx",
		.n_in = 2,
		.n_out = 2,
		.in = { { "input", 2, { 1, VAD_INPUT } }, { "state", 3, { 2, 1, VAD_UNITS } } },
		.out = { { "output", 2, { 1, 1 } }, { "stateN", 3, { 2, 1, VAD_UNITS } } },
	},
};

int tensor_elems(const struct model_tensor *t)
{
	int n = 1;

	for (int i = 0; i < t->rank; i++)
		n *= t->dims[i];
	return n;
}

const struct demo_model *model_find(const char *name)
{
	for (int i = 0; i < MODEL_COUNT; i++)
		if (!strcmp(demo_models[i].name, name))
			return &demo_models[i];
	return NULL;
}

static int write_ini(const struct demo_model *m, const char *path)
{
	FILE *f = fopen(path, "w");

	if (!f)
		return -errno;
	fprintf(f, "[model]\nfile = %s.bound\n", m->file);
	for (int i = 0; i < m->n_in; i++) {
		fprintf(f, "shape.%s = ", m->in[i].name);
		for (int j = 0; j < m->in[i].rank; j++)
			fprintf(f, "%s%d", j ? "x" : "", m->in[i].dims[j]);
		fputc('\n', f);
	}
	return fclose(f) ? -errno : 0;
}

int models_dir(const char *dir, const char *from)
{
	char path[PATH_MAX], file[PATH_MAX];
	int err = 0;

	for (int i = 0; i < MODEL_COUNT && !err; i++) {
		const struct demo_model *m = &demo_models[i];

		/*
		 * Not *.onnx, which would be served as it is as well. Two bindings
		 * share a file: its link may be there already.
		 */
		snprintf(path, sizeof(path), "%s/%s.bound", dir, m->file);
		snprintf(file, sizeof(file), "%s/%s", from, m->file);
		if (symlink(file, path) && errno != EEXIST)
			err = -errno;
		if (!err) {
			snprintf(path, sizeof(path), "%s/%s.ini", dir, m->name);
			err = write_ini(m, path);
		}
	}
	if (err)
		fprintf(stderr, "%s: %s\n", path, strerror(-err));
	return err;
}
