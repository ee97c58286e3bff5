/* SPDX-License-Identifier: MIT */
/*
 * One line of text: into the tensor of PP-OCR's direction classifier or
 * recognizer, and out of theirs.
 */
#ifndef BRAID_DEMO_OCR_LINE_H
#define BRAID_DEMO_OCR_LINE_H

#include "tools/demo/dict.h"
#include "tools/demo/image.h"

#define LINE_HEIGHT	48
#define CLS_WIDTH	192
#define REC_CLASSES	6625

/**
 * line_width() - how wide a cut-out line is at LINE_HEIGHT
 * @crop: the line
 */
int line_width(const struct image *crop);

/**
 * line_prepare() - make the input of the classifier or recognizer
 * @crop: the line
 * @width: of the tensor; a longer line is squeezed, a shorter one padded
 * @tensor: 3 x LINE_HEIGHT x @width floats
 *
 * Return: 0, -ENOMEM or -EINVAL.
 */
int line_prepare(const struct image *crop, int width, float *tensor);

/**
 * line_decode() - the recognizer's output as text
 * @prob: @steps x REC_CLASSES probabilities; class 0 is CTC's blank
 * @steps: time steps
 * @dict: the characters
 * @text: UTF-8, cut at @size, always terminated
 * @size: room in @text
 *
 * Greedy: the best class of each step, repeats joined, blanks dropped
 * (Graves et al., "Connectionist Temporal Classification", ICML 2006, 3.2).
 *
 * Return: mean probability of the characters kept, 0 for none.
 */
float line_decode(const float *prob, int steps, const struct dict *dict, char *text,
		  unsigned int size);

#endif
