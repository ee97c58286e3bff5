/* SPDX-License-Identifier: MIT */
/*
 * Voice activity: a recording into silero-vad's chunks, and its
 * probabilities into stretches of speech.
 */
#ifndef BRAID_DEMO_VAD_H
#define BRAID_DEMO_VAD_H

#define VAD_RATE	16000
#define VAD_CHUNK	512	/* samples a step: 32 ms */
#define VAD_CONTEXT	64	/* samples of the step before, in front */
#define VAD_INPUT	(VAD_CONTEXT + VAD_CHUNK)
#define VAD_UNITS	128	/* of the LSTM; the state is its h, then its c */
#define VAD_STATE	(2 * VAD_UNITS)
#define VAD_MAX_CHUNKS	4096

/**
 * struct sound - 16 kHz, one channel, -1..1
 * @samples: owned by the sound
 * @count: number of samples
 */
struct sound {
	float *samples;
	int count;
};

/** struct speech - a stretch of speech, in samples from the start */
struct speech {
	int start;
	int end;
};

/**
 * sound_read() - read a RIFF WAVE file: PCM, 16 bit, one channel, 16 kHz
 *
 * Return: 0, or a negative errno after one line on stderr.
 */
int sound_read(struct sound *sound, const char *path);

/** sound_free() - release; harmless on a zeroed sound */
void sound_free(struct sound *sound);

/** vad_chunks() - number of whole steps in a sound */
int vad_chunks(const struct sound *sound);

/** vad_prepare() - the model's input for step @i: VAD_INPUT floats */
void vad_prepare(const struct sound *sound, int i, float *tensor);

/**
 * vad_speech() - stretches of speech
 * @prob: probability of speech by step
 * @chunks: number of steps
 * @speech: room for @max stretches
 * @max: how many at most
 *
 * Speech begins over 0.5 and ends under 0.35 for at least 100 ms; what is
 * shorter than 250 ms is no speech. These are silero-vad's own defaults.
 *
 * Return: number of stretches.
 */
int vad_speech(const float *prob, int chunks, struct speech *speech, int max);

#endif
