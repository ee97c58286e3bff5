// SPDX-License-Identifier: MIT
/*
 * The way from a page to its text and from a recording to its speech.
 *
 * No state between calls; buffers live for one page or one recording.
 */
#include "tools/demo/chain.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/demo/ocr_line.h"

/* A line read with less confidence than this is left out. */
#define MIN_CONFIDENCE 0.5f

/* Room for the largest input and output of the three OCR models. */
struct ocr_buffers {
	float *in;
	float *out;
};

static int largest(bool out)
{
	int max = 0;

	for (int i = MODEL_DET; i <= MODEL_REC_LONG; i++) {
		const struct model_tensor *t = out ? demo_models[i].out : demo_models[i].in;
		int n = tensor_elems(t);

		max = n > max ? n : max;
	}
	return max;
}

static int run(struct infer *infer, enum model_id id, const char *key, int line,
	       struct ocr_buffers *b)
{
	const float *in[] = { b->in };
	float *out[] = { b->out };
	char full[KEY_BYTES];

	if (line < 0)
		snprintf(full, sizeof(full), "%s", key);
	else
		snprintf(full, sizeof(full), "%s/%d", key, line);
	return infer->run(infer, &demo_models[id], full, in, out);
}

/* Ask the classifier how one line stands; @turned gets its probability. */
static int classify(struct infer *infer, const struct image *crop, const char *key, int i,
		    struct ocr_buffers *b, float *turned)
{
	int err = line_prepare(crop, CLS_WIDTH, b->in);

	if (!err)
		err = run(infer, MODEL_CLS, key, i, b);
	if (!err)
		*turned = b->out[1];
	return err;
}

static int recognize(struct infer *infer, const struct image *crop, const char *key, int i,
		     const struct dict *dict, struct ocr_buffers *b, struct text_line *line)
{
	/* The narrowest binding that does not squeeze the line. */
	int width = demo_models[MODEL_REC_SHORT].in[0].dims[3];
	enum model_id rec = line_width(crop) <= width ? MODEL_REC_SHORT : MODEL_REC_LONG;
	int err = line_prepare(crop, demo_models[rec].in[0].dims[3], b->in);

	if (!err)
		err = run(infer, rec, key, i, b);
	if (!err)
		line->confidence = line_decode(b->out, demo_models[rec].out[0].dims[1], dict,
					       line->text, sizeof(line->text));
	return err;
}

/*
 * Read the lines that were cut out. The classifier is unsure of long lines,
 * which it sees squeezed, but a page stands one way: all its lines vote.
 */
static int read_lines(struct infer *infer, struct image *crops, int n, const char *key,
		      const struct dict *dict, struct ocr_buffers *b, struct page_text *page)
{
	float votes = 0, turned = 0;
	int err = 0;

	for (int i = 0; i < n && !err; i++) {
		err = classify(infer, &crops[i], key, i, b, &turned);
		votes += turned;
	}
	page->upside_down = votes > 0.5f * n;
	for (int i = 0; i < n && !err; i++) {
		/* Of a page upside down the first line stands at the bottom. */
		int at = page->upside_down ? n - 1 - i : i;
		struct text_line *line = &page->lines[page->count];

		if (page->upside_down)
			image_turn(&crops[at]);
		err = recognize(infer, &crops[at], key, at, dict, b, line);
		page->count += line->confidence >= MIN_CONFIDENCE;
	}
	return err;
}

int ocr_run(struct infer *infer, const struct image *img, const char *key,
	    const struct dict *dict, struct page_text *page)
{
	struct image crops[DET_MAX_BOXES] = { 0 };
	struct text_box boxes[DET_MAX_BOXES];
	int n = 0, err = -ENOMEM;
	struct ocr_buffers b;

	memset(page, 0, sizeof(*page));
	b.in = malloc(largest(false) * sizeof(float));
	b.out = malloc(largest(true) * sizeof(float));
	if (!b.in || !b.out)
		goto out;
	err = det_prepare(img, b.in);
	if (!err)
		err = run(infer, MODEL_DET, key, -1, &b);
	if (err)
		goto out;
	n = det_boxes(img, b.out, boxes);
	if (n < 0) {
		err = n;
		goto out;
	}
	for (int i = 0; i < n && !err; i++)
		err = image_cut(&crops[i], img, boxes[i].quad);
	if (!err)
		err = read_lines(infer, crops, n, key, dict, &b, page);
out:
	for (int i = 0; i < n; i++)
		image_free(&crops[i]);
	free(b.out);
	free(b.in);
	return err;
}

int vad_run(struct infer *infer, const struct sound *sound, const char *key,
	    struct heard *heard)
{
	float input[VAD_INPUT], state[VAD_STATE] = { 0 }, next[VAD_STATE];
	const float *in[] = { input, state };
	int chunks = vad_chunks(sound), err = 0;
	float *prob;

	prob = calloc(chunks + 1, sizeof(*prob));
	if (!prob)
		return -ENOMEM;
	for (int i = 0; i < chunks && !err; i++) {
		float *out[] = { prob + i, next };
		char full[KEY_BYTES];

		snprintf(full, sizeof(full), "%s/%d", key, i);
		vad_prepare(sound, i, input);
		err = infer->run(infer, &demo_models[MODEL_VAD], full, in, out);
		memcpy(state, next, sizeof(state));
	}
	heard->count = err ? 0 : vad_speech(prob, chunks, heard->speech, MAX_SPEECH);
	free(prob);
	return err;
}
