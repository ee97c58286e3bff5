/* SPDX-License-Identifier: MIT */
/*
 * The demo's two applications, written against "something that infers".
 *
 * The same chain runs through Braid (live.c), against recorded outputs
 * (replay.c: what is expected, and which inputs lead there) and against a
 * reference outside (record.c).
 */
#ifndef BRAID_DEMO_CHAIN_H
#define BRAID_DEMO_CHAIN_H

#include <stdbool.h>

#include "tools/demo/dict.h"
#include "tools/demo/image.h"
#include "tools/demo/models.h"
#include "tools/demo/ocr_det.h"
#include "tools/demo/vad.h"

#define LINE_BYTES	256
#define MAX_SPEECH	16
#define KEY_BYTES	40

/**
 * struct infer - something that runs a model
 * @run: run @m on @in, fill @out; both arrays in the model's order. @key names
 *	the request: the same in every run over the same data. Returns 0 or a
 *	negative errno after one line on stderr.
 */
struct infer {
	int (*run)(struct infer *self, const struct demo_model *m, const char *key,
		   const float *const *in, float *const *out);
};

/**
 * struct text_line - one line read
 * @text: UTF-8
 * @confidence: mean probability of its characters
 */
struct text_line {
	char text[LINE_BYTES];
	float confidence;
};

/**
 * struct page_text - what was read off a page
 * @upside_down: it stood on its head
 * @count: number of lines
 * @lines: in reading order
 */
struct page_text {
	bool upside_down;
	int count;
	struct text_line lines[DET_MAX_BOXES];
};

/** struct heard - the stretches of speech of a recording */
struct heard {
	int count;
	struct speech speech[MAX_SPEECH];
};

/**
 * ocr_run() - read a page: detect, then classify and recognize every line
 * @infer: what runs the models
 * @img: the page
 * @key: prefix of the requests' keys
 * @dict: the recognizer's characters
 * @page: filled
 *
 * Return: 0 or a negative errno, said on stderr.
 */
int ocr_run(struct infer *infer, const struct image *img, const char *key,
	    const struct dict *dict, struct page_text *page);

/**
 * vad_run() - find the speech in a recording, step by step
 * @infer: what runs the model
 * @sound: the recording
 * @key: prefix of the requests' keys
 * @heard: filled
 *
 * Return: 0 or a negative errno, said on stderr.
 */
int vad_run(struct infer *infer, const struct sound *sound, const char *key,
	    struct heard *heard);

#endif
