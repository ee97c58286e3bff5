// SPDX-License-Identifier: MIT
/*
 * Before and after silero-vad.
 *
 * No state: the model's own state is a tensor that the caller carries from
 * one step's output to the next step's input.
 */
#include "tools/demo/vad.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ON_THRESHOLD	0.5f
#define OFF_THRESHOLD	0.35f
#define MIN_SILENCE	(VAD_RATE / 10)
#define MIN_SPEECH	(VAD_RATE / 4)

static uint32_t le(const uint8_t *p, int bytes)
{
	uint32_t v = 0;

	while (bytes--)
		v = v << 8 | p[bytes];
	return v;
}

static int fail(const char *path, int err, const char *why)
{
	fprintf(stderr, "%s: %s\n", path, why);
	return err;
}

static int read_samples(struct sound *sound, const char *path, FILE *f, uint32_t bytes)
{
	uint8_t pair[2];

	if (bytes / 2 > VAD_MAX_CHUNKS * VAD_CHUNK)
		return fail(path, -EFBIG, "recording is longer than two minutes");
	sound->samples = malloc((bytes / 2 + 1) * sizeof(*sound->samples));
	if (!sound->samples)
		return fail(path, -ENOMEM, "no memory for the recording");
	while (sound->count < bytes / 2) {
		if (fread(pair, 1, 2, f) != 2) {
			sound_free(sound);
			return fail(path, -EINVAL, "ends inside of its data chunk");
		}
		sound->samples[sound->count++] = (int16_t)le(pair, 2) / 32768.0f;
	}
	return 0;
}

static int read_wave(struct sound *sound, const char *path, FILE *f)
{
	uint8_t head[16];
	int known = 0;

	if (fread(head, 1, 12, f) != 12 || memcmp(head, "RIFF", 4) || memcmp(head + 8, "WAVE", 4))
		return fail(path, -EINVAL, "not a RIFF WAVE file");
	while (fread(head, 1, 8, f) == 8) {
		uint32_t bytes = le(head + 4, 4);

		if (!memcmp(head, "data", 4)) {
			if (!known)
				return fail(path, -EINVAL, "data chunk before fmt chunk");
			return read_samples(sound, path, f, bytes);
		}
		if (!memcmp(head, "fmt ", 4)) {
			if (bytes < 16 || fread(head, 1, 16, f) != 16)
				return fail(path, -EINVAL, "short fmt chunk");
			if (le(head, 2) != 1 || le(head + 2, 2) != 1 ||
			    le(head + 4, 4) != VAD_RATE || le(head + 14, 2) != 16)
				return fail(path, -EINVAL,
					    "not PCM of 16 bit, one channel, 16 kHz");
			known = 1;
			bytes -= 16;
		}
		/* Chunks are padded to an even length. */
		if (bytes > INT32_MAX - 1 || fseek(f, bytes + (bytes & 1), SEEK_CUR))
			break;
	}
	return fail(path, -EINVAL, "no data chunk");
}

int sound_read(struct sound *sound, const char *path)
{
	FILE *f = fopen(path, "rb");
	int err;

	memset(sound, 0, sizeof(*sound));
	if (!f) {
		err = -errno;
		return fail(path, err, strerror(-err));
	}
	err = read_wave(sound, path, f);
	fclose(f);
	return err;
}

void sound_free(struct sound *sound)
{
	free(sound->samples);
	memset(sound, 0, sizeof(*sound));
}

int vad_chunks(const struct sound *sound)
{
	return sound->count / VAD_CHUNK;
}

void vad_prepare(const struct sound *sound, int i, float *tensor)
{
	const float *chunk = sound->samples + (size_t)i * VAD_CHUNK;

	if (i)
		memcpy(tensor, chunk - VAD_CONTEXT, VAD_CONTEXT * sizeof(*tensor));
	else
		memset(tensor, 0, VAD_CONTEXT * sizeof(*tensor));
	memcpy(tensor + VAD_CONTEXT, chunk, VAD_CHUNK * sizeof(*tensor));
}

int vad_speech(const float *prob, int chunks, struct speech *speech, int max)
{
	int n = 0, start = -1, quiet = -1;

	for (int i = 0; i <= chunks && n < max; i++) {
		int at = i * VAD_CHUNK;

		if (i < chunks && prob[i] >= ON_THRESHOLD) {
			if (start < 0)
				start = at;
			quiet = -1;
			continue;
		}
		if (start < 0 || (i < chunks && prob[i] >= OFF_THRESHOLD))
			continue;
		if (quiet < 0)
			quiet = at;
		if (i < chunks && at - quiet < MIN_SILENCE)
			continue;
		if (quiet - start >= MIN_SPEECH)
			speech[n++] = (struct speech){ start, quiet };
		start = -1;
		quiet = -1;
	}
	return n;
}
