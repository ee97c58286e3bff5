/* SPDX-License-Identifier: MIT */
/*
 * Pictures of 8-bit RGB: reading, scaling, turning, cutting out.
 */
#ifndef BRAID_DEMO_IMAGE_H
#define BRAID_DEMO_IMAGE_H

#include <stdint.h>

/**
 * struct image - 8-bit RGB, row by row, no padding
 * @width: in pixels
 * @height: in pixels
 * @pixels: 3 * width * height bytes, owned by the image
 */
struct image {
	int width;
	int height;
	uint8_t *pixels;
};

struct point {
	float x;
	float y;
};

/**
 * image_read() - read a PNG or JPEG file, told apart by its first bytes
 * @img: filled on success; image_free() it
 * @path: the file
 *
 * Grey and palette pictures become RGB, transparency is laid on white.
 *
 * Return: 0, or a negative errno after one line on stderr that says what is
 * wrong with which file. Pictures over 8192 pixels a side get -EFBIG.
 */
int image_read(struct image *img, const char *path);

/** image_free() - release the pixels; harmless on a zeroed image */
void image_free(struct image *img);

/** image_new() - allocate black pixels; 0 or -ENOMEM or -EINVAL */
int image_new(struct image *img, int width, int height);

/**
 * image_scale() - scale to another size, bilinear, pixel centres aligned
 * @dst: filled on success
 * @src: the source, unchanged
 * @width: new width
 * @height: new height
 *
 * Integer arithmetic only, so that every machine gets the same bytes.
 *
 * Return: 0, -ENOMEM or -EINVAL.
 */
int image_scale(struct image *dst, const struct image *src, int width, int height);

/** image_turn() - turn by half a turn, in place */
void image_turn(struct image *img);

/** image_quarter() - turn by a quarter, counter-clockwise, in place; 0 or -ENOMEM */
int image_quarter(struct image *img);

/**
 * image_cut() - cut out a parallelogram and lay it straight
 * @dst: filled on success, as wide and high as the sides are long
 * @src: the source
 * @quad: corners in @src: top left, top right, bottom right, bottom left
 *
 * What lies outside of @src repeats its edge. Pieces at least 1.5 times as
 * high as wide are taken for text that runs upwards, and turned.
 *
 * Return: 0, -ENOMEM, or -EINVAL for a piece without area.
 */
int image_cut(struct image *dst, const struct image *src, const struct point quad[4]);

/**
 * image_tensor() - write a picture as planes of float, B, G, R
 * @img: the picture, at most @height x @width
 * @out: 3 * @height * @width floats
 * @height: height of a plane
 * @width: width of a plane
 *
 * Values are (v / 255 - 0.5) / 0.5; right of the picture and below it is 0.
 * That is what all three PP-OCR models were trained on.
 */
void image_tensor(const struct image *img, float *out, int height, int width);

#endif
