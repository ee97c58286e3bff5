/* SPDX-License-Identifier: MIT */
/*
 * Text detection: the picture into PP-OCR det's tensor, and its probability
 * map back into boxes.
 */
#ifndef BRAID_DEMO_OCR_DET_H
#define BRAID_DEMO_OCR_DET_H

#include "tools/demo/image.h"

#define DET_HEIGHT	320
#define DET_WIDTH	640
#define DET_MAX_BOXES	64

/**
 * struct text_box - a line of text found in a picture
 * @quad: corners in the picture's pixels: top left, top right, bottom right,
 *	bottom left, as the text would be read
 * @score: mean probability of its region, 0..1
 */
struct text_box {
	struct point quad[4];
	float score;
};

/**
 * det_prepare() - make the detector's input
 * @img: the picture, of any size
 * @tensor: 3 x DET_HEIGHT x DET_WIDTH floats
 *
 * The picture is scaled to fit with its proportions kept, at the top left.
 *
 * Return: 0, -ENOMEM or -EINVAL.
 */
int det_prepare(const struct image *img, float *tensor);

/**
 * det_boxes() - find lines of text in the detector's output
 * @img: the picture that det_prepare() got
 * @map: DET_HEIGHT x DET_WIDTH probabilities
 * @boxes: room for DET_MAX_BOXES, filled in reading order
 *
 * Differentiable binarization's post-processing (Liao et al., "Real-time
 * Scene Text Detection with Differentiable Binarization", AAAI 2020): pixels
 * over 0.3, dilated; of each connected region with a mean probability of at
 * least 0.5 the smallest rectangle, grown by area * 1.6 / perimeter.
 *
 * Return: number of boxes, or -ENOMEM.
 */
int det_boxes(const struct image *img, const float *map, struct text_box *boxes);

#endif
