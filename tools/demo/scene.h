/* SPDX-License-Identifier: MIT */
/*
 * What the demo reads and listens to.
 */
#ifndef BRAID_DEMO_SCENE_H
#define BRAID_DEMO_SCENE_H

#include "tools/demo/chain.h"

#define SCENE_PAGES	2
#define SCENE_SOUNDS	2

/**
 * struct scene - real input, and what is needed to understand the answers
 * @pages: the photographed page, and the same page turned upside down
 * @sounds: two recordings of a voice
 * @dict: the recognizer's characters
 */
struct scene {
	struct image pages[SCENE_PAGES];
	struct sound sounds[SCENE_SOUNDS];
	struct dict dict;
};

/** struct findings - what came out, in the order of the scene */
struct findings {
	struct page_text pages[SCENE_PAGES];
	struct heard sounds[SCENE_SOUNDS];
};

/**
 * scene_open() - read pictures, recordings and the dictionary
 * @scene: filled on success; scene_close() it
 * @data: folder of the pictures and recordings
 * @models: folder of the ONNX files, NULL to do without a dictionary: then every
 *	letter is "?"
 *
 * Return: 0 or a negative errno, said on stderr.
 */
int scene_open(struct scene *scene, const char *data, const char *models);

/** scene_close() - release; harmless on a zeroed scene */
void scene_close(struct scene *scene);

/** scene_run() - all pages and recordings, one after the other */
int scene_run(const struct scene *scene, struct infer *infer, struct findings *found);

/** findings_print() - text and stretches of speech, for a person */
void findings_print(const struct scene *scene, const struct findings *found);

/**
 * findings_differ() - compare two runs by what a person would notice
 *
 * Says on stderr what differs. Return: number of differences.
 */
int findings_differ(const struct findings *got, const struct findings *want);

#endif
