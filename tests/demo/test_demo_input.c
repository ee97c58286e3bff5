// SPDX-License-Identifier: MIT
/*
 * What the demo does before and after its models: files of all kinds, boxes
 * from a map, letters from classes, speech from probabilities.
 *
 * Needs no model and no agent. Runs from the top folder.
 */
#include "tests/tap.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "tools/demo/ocr_det.h"
#include "tools/demo/ocr_line.h"
#include "tools/demo/vad.h"

#define DATA "tools/demo/data"

#define PATH_TEMPLATE "/tmp/braid-test-input-XXXXXX"

static char path[sizeof(PATH_TEMPLATE)] = PATH_TEMPLATE;

static void put(const void *data, size_t n)
{
	FILE *f = fopen(path, "wb");

	if (!f || fwrite(data, 1, n, f) != n || fclose(f))
		exit(1);
}

static size_t get(const char *from, char *to, size_t room)
{
	FILE *f = fopen(from, "rb");
	size_t n;

	if (!f)
		exit(1);
	n = fread(to, 1, room, f);
	fclose(f);
	return n;
}

static void test_files(void)
{
	static const char nonsense[] = "\xff\xd8\xff\xe0 no JPEG after all";
	static char data[1 << 17];
	struct sound sound;
	struct image img;
	size_t n;

	is_int(image_read(&img, DATA "/page.png"), 0, "the page is read");
	is_int(img.width, 384, "its width");
	is_int(img.height, 191, "its height");
	image_free(&img);
	is_int(sound_read(&sound, DATA "/speech-1.wav"), 0, "the recording is read");
	is_int(sound.count, 47840, "its samples");
	sound_free(&sound);

	diag("a line about every bad file is expected:");
	ok(image_read(&img, "no/such/file") < 0, "a missing picture is refused");
	ok(sound_read(&sound, "no/such/file") < 0, "a missing recording is refused");
	ok(image_read(&img, DATA "/speech-1.wav") < 0, "a recording is no picture");
	ok(sound_read(&sound, DATA "/page.png") < 0, "a picture is no recording");

	n = get(DATA "/page.png", data, sizeof(data));
	put(data, n / 2);
	ok(image_read(&img, path) < 0, "half a PNG is refused");
	put(data, 3);
	ok(image_read(&img, path) < 0, "three bytes are refused");
	memcpy(data + 16, "\x7f\xff\xff\xff\x7f\xff\xff\xff", 8);
	put(data, n);
	ok(image_read(&img, path) < 0, "a PNG of monstrous size is refused");
	put(nonsense, sizeof(nonsense));
	ok(image_read(&img, path) < 0, "a JPEG of nonsense is refused");

	n = get(DATA "/speech-1.wav", data, sizeof(data));
	put(data, n / 2);
	ok(sound_read(&sound, path) < 0, "half a recording is refused");
	put(data, 40);
	ok(sound_read(&sound, path) < 0, "a recording without data is refused");
	memcpy(data + 24, "\x44\xac", 2);
	put(data, n);
	ok(sound_read(&sound, path) < 0, "another sampling rate is refused");
}

static void test_images(void)
{
	struct point quad[4] = { { 2, 1 }, { 6, 1 }, { 6, 3 }, { 2, 3 } };
	struct image a, b;
	bool same = true;

	if (image_new(&a, 8, 4))
		exit(1);
	for (int i = 0; i < 8 * 4 * 3; i++)
		a.pixels[i] = i * 2;

	if (image_scale(&b, &a, 8, 4))
		exit(1);
	ok(!memcmp(a.pixels, b.pixels, 8 * 4 * 3), "scaling to the same size changes nothing");
	image_turn(&b);
	ok(!memcmp(b.pixels, a.pixels + 31 * 3, 3), "turning brings the last pixel to the front");
	image_turn(&b);
	ok(!memcmp(a.pixels, b.pixels, 8 * 4 * 3), "turning twice changes nothing");
	image_free(&b);

	if (image_cut(&b, &a, quad))
		exit(1);
	ok(b.width == 4 && b.height == 2, "a piece has the size of its sides");
	for (int y = 0; y < 2; y++)
		for (int x = 0; x < 4; x++)
			same &= !memcmp(b.pixels + (y * 4 + x) * 3,
					a.pixels + ((y + 1) * 8 + x + 2) * 3, 3);
	ok(same, "an upright piece is copied pixel by pixel");
	image_free(&b);

	quad[1].x = quad[2].x = 3;
	if (image_cut(&b, &a, quad))
		exit(1);
	ok(b.width == 2 && b.height == 1, "a high piece is laid down");
	image_free(&b);
	quad[1].x = quad[2].x = 2;
	quad[2].y = quad[3].y = 1;
	ok(image_cut(&b, &a, quad) < 0, "a piece without area is refused");
	image_free(&a);
}

/* A line of text 200 x 10, tilted, with its centre at (300, 150). */
static void draw(float *map, float angle, float value)
{
	for (int y = 0; y < DET_HEIGHT; y++) {
		for (int x = 0; x < DET_WIDTH; x++) {
			float dx = x - 300, dy = y - 150;
			float u = dx * cosf(angle) + dy * sinf(angle);
			float v = dy * cosf(angle) - dx * sinf(angle);

			if (fabsf(u) <= 100 && fabsf(v) <= 5)
				map[y * DET_WIDTH + x] = value;
		}
	}
}

static void test_boxes(void)
{
	float *map = calloc(DET_HEIGHT * DET_WIDTH, sizeof(*map));
	struct text_box boxes[DET_MAX_BOXES];
	struct image img;

	if (!map || image_new(&img, DET_WIDTH, DET_HEIGHT))
		exit(1);
	is_int(det_boxes(&img, map, boxes), 0, "an empty map has no boxes");
	for (int i = -2; i <= 2; i++) {
		float angle = i * 0.15f, width, height;
		const struct point *q = boxes[0].quad;

		memset(map, 0, DET_HEIGHT * DET_WIDTH * sizeof(*map));
		draw(map, angle, 0.9f);
		is_int(det_boxes(&img, map, boxes), 1, "one line at %.2f is found", angle);
		width = hypotf(q[1].x - q[0].x, q[1].y - q[0].y);
		height = hypotf(q[3].x - q[0].x, q[3].y - q[0].y);
		ok(fabsf(atan2f(q[1].y - q[0].y, q[1].x - q[0].x) - angle) < 0.02f,
		   "its tilt is found");
		/* 200 x 10 grown by 1.6 * 200 * 10 / 420 = 7.6 on every side. */
		ok(fabsf(width - 215) < 4 && fabsf(height - 25) < 4, "it is grown: %.1f x %.1f",
		   width, height);
		ok(fabsf((q[0].x + q[2].x) / 2 - 300) < 2 && fabsf((q[0].y + q[2].y) / 2 - 150) < 2,
		   "its centre is found");
	}
	memset(map, 0, DET_HEIGHT * DET_WIDTH * sizeof(*map));
	draw(map, 0, 0.4f);
	is_int(det_boxes(&img, map, boxes), 0, "a weak line is no line");
	for (int i = 0; i < DET_HEIGHT * DET_WIDTH; i++)
		map[i] = i / DET_WIDTH % 8 < 5 && i % DET_WIDTH % 8 < 5;
	is_int(det_boxes(&img, map, boxes), DET_MAX_BOXES, "a full map fills the room and no more");
	for (int i = 0; i < DET_HEIGHT * DET_WIDTH; i++)
		map[i] = NAN;
	is_int(det_boxes(&img, map, boxes), 0, "a map of NaN has no boxes");
	for (int i = 0; i < DET_HEIGHT * DET_WIDTH; i++)
		map[i] = 1;
	is_int(det_boxes(&img, map, boxes), 1, "a map of ones is one box");
	image_free(&img);
	free(map);
}

static void test_decode(void)
{
	static const int classes[] = { 0, 3, 3, 0, 3, 1, 1, 2, 0, 4 };
	const int steps = sizeof(classes) / sizeof(*classes);
	char x[] = "x", y[] = "y", e_acute[] = "\xc3\xa9";
	char *letters[3] = { x, y, e_acute };
	struct dict dict = { .letters = letters, .count = 3 };
	float *prob = calloc(steps * REC_CLASSES, sizeof(*prob));
	char text[32];
	float confidence;

	if (!prob)
		exit(1);
	for (int i = 0; i < steps; i++)
		prob[i * REC_CLASSES + classes[i]] = 0.5f;
	confidence = line_decode(prob, steps, &dict, text, sizeof(text));
	ok(!strcmp(text, "\xc3\xa9\xc3\xa9xy?"), "repeats join, blanks part, unknown is ?: %s", text);
	ok(confidence == 0.5f, "confidence is the mean");
	line_decode(prob, steps, &dict, text, 4);
	ok(!strcmp(text, "\xc3\xa9"), "a letter that does not fit is left out whole");
	memset(prob, 0, steps * REC_CLASSES * sizeof(*prob));
	ok(line_decode(prob, steps, &dict, text, sizeof(text)) == 0 && !*text,
	   "nothing but blanks is no text");
	free(prob);
}

static int speech(const char *levels, struct speech *out)
{
	float prob[64];
	int n = strlen(levels);

	for (int i = 0; i < n; i++)
		prob[i] = (levels[i] - '0') / 10.0f + 0.01f;
	return vad_speech(prob, n, out, 4);
}

static void test_speech(void)
{
	struct speech s[4];

	is_int(speech("0000000000", s), 0, "silence is no speech");
	is_int(speech("0009900000000", s), 0, "two steps are too short");
	is_int(speech("0099999999990000000", s), 1, "ten steps are speech");
	is_int(s[0].start, 2 * VAD_CHUNK, "it begins with its first step");
	is_int(s[0].end, 12 * VAD_CHUNK, "it ends after its last");
	is_int(speech("9999999990099999999990000", s), 1, "a short pause does not part");
	is_int(speech("9999999990000000999999999", s), 2, "a long pause does");
	is_int(s[1].end, 25 * VAD_CHUNK, "speech may last to the end");
	is_int(speech("9999999994444444499999999", s), 1, "between the thresholds it goes on");
}

int main(void)
{
	int fd = mkstemp(path);

	if (fd < 0) {
		perror("mkstemp");
		return 1;
	}
	close(fd);
	test_files();
	test_images();
	test_boxes();
	test_decode();
	test_speech();
	unlink(path);
	return tap_done();
}
