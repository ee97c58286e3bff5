// SPDX-License-Identifier: MIT
/*
 * Before and after PP-OCR's direction classifier and its recognizer.
 *
 * No state. The models take lines 48 pixels high; the recognizer gives one
 * distribution over its characters for every 8 columns.
 */
#include "tools/demo/ocr_line.h"

#include <string.h>

int line_width(const struct image *crop)
{
	return (LINE_HEIGHT * crop->width + crop->height - 1) / crop->height;
}

int line_prepare(const struct image *crop, int width, float *tensor)
{
	int natural = line_width(crop), err;
	struct image scaled;

	err = image_scale(&scaled, crop, natural < width ? natural : width, LINE_HEIGHT);
	if (err)
		return err;
	image_tensor(&scaled, tensor, LINE_HEIGHT, width);
	image_free(&scaled);
	return 0;
}

float line_decode(const float *prob, int steps, const struct dict *dict, char *text,
		  unsigned int size)
{
	unsigned int used = 0;
	int last = 0, kept = 0;
	float sum = 0;

	text[0] = '\0';
	for (int t = 0; t < steps; t++) {
		const float *row = prob + (size_t)t * REC_CLASSES;
		const char *letter;
		int best = 0;

		for (int c = 1; c < REC_CLASSES; c++)
			if (row[c] > row[best])
				best = c;
		if (best != last && best) {
			letter = dict_letter(dict, best - 1);
			if (used + strlen(letter) + 1 > size)
				break;
			strcpy(text + used, letter);
			used += strlen(letter);
			sum += row[best];
			kept++;
		}
		last = best;
	}
	return kept ? sum / kept : 0;
}
