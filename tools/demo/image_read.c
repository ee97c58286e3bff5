// SPDX-License-Identifier: MIT
/*
 * Reads PNG and JPEG files into RGB, with libpng and libjpeg.
 *
 * No state. A picture comes from a user: sizes are bounded before memory is
 * taken, and each library's error path ends in one line on stderr.
 */
#include "tools/demo/image.h"

#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>
#include <png.h>

#define MAX_SIDE 8192

static int fail(const char *path, int err, const char *why)
{
	fprintf(stderr, "%s: %s\n", path, why);
	return err;
}

static int read_png(struct image *img, const char *path, FILE *f)
{
	png_image png = { .version = PNG_IMAGE_VERSION };
	png_color white = { 255, 255, 255 };
	int err;

	if (!png_image_begin_read_from_stdio(&png, f))
		return fail(path, -EINVAL, png.message);
	if (png.width > MAX_SIDE || png.height > MAX_SIDE) {
		png_image_free(&png);
		return fail(path, -EFBIG, "picture is over 8192 pixels a side");
	}
	png.format = PNG_FORMAT_RGB;
	err = image_new(img, png.width, png.height);
	if (err) {
		png_image_free(&png);
		return fail(path, err, "no memory for the picture");
	}
	if (!png_image_finish_read(&png, &white, img->pixels, 0, NULL)) {
		image_free(img);
		return fail(path, -EINVAL, png.message);
	}
	return 0;
}

struct jpeg_failure {
	struct jpeg_error_mgr mgr;
	jmp_buf jump;
	char message[JMSG_LENGTH_MAX];
};

static void jpeg_fail(j_common_ptr info)
{
	struct jpeg_failure *failure = (struct jpeg_failure *)info->err;

	failure->mgr.format_message(info, failure->message);
	longjmp(failure->jump, 1);
}

static int read_jpeg(struct image *img, const char *path, FILE *f)
{
	struct jpeg_decompress_struct info;
	struct jpeg_failure failure;
	int err;

	info.err = jpeg_std_error(&failure.mgr);
	failure.mgr.error_exit = jpeg_fail;
	if (setjmp(failure.jump)) {
		jpeg_destroy_decompress(&info);
		image_free(img);
		return fail(path, -EINVAL, failure.message);
	}
	jpeg_create_decompress(&info);
	jpeg_stdio_src(&info, f);
	jpeg_read_header(&info, TRUE);
	info.out_color_space = JCS_RGB;
	/* The same bytes on every machine, whatever SIMD it has. */
	info.dct_method = JDCT_ISLOW;
	if (info.image_width > MAX_SIDE || info.image_height > MAX_SIDE) {
		jpeg_destroy_decompress(&info);
		return fail(path, -EFBIG, "picture is over 8192 pixels a side");
	}
	jpeg_start_decompress(&info);
	err = image_new(img, info.output_width, info.output_height);
	if (err) {
		jpeg_destroy_decompress(&info);
		return fail(path, err, "no memory for the picture");
	}
	while (info.output_scanline < info.output_height) {
		JSAMPROW row = img->pixels + (size_t)info.output_scanline * img->width * 3;

		jpeg_read_scanlines(&info, &row, 1);
	}
	jpeg_finish_decompress(&info);
	jpeg_destroy_decompress(&info);
	return 0;
}

int image_read(struct image *img, const char *path)
{
	unsigned char magic[4];
	FILE *f;
	int err;

	memset(img, 0, sizeof(*img));
	f = fopen(path, "rb");
	if (!f) {
		err = -errno;
		return fail(path, err, strerror(-err));
	}
	if (fread(magic, 1, sizeof(magic), f) != sizeof(magic)) {
		err = fail(path, -EINVAL, "too short for a picture");
	} else {
		rewind(f);
		if (!memcmp(magic, "\x89PNG", 4))
			err = read_png(img, path, f);
		else if (!memcmp(magic, "\xff\xd8\xff", 3))
			err = read_jpeg(img, path, f);
		else
			err = fail(path, -EINVAL, "neither a PNG nor a JPEG file");
	}
	fclose(f);
	return err;
}
