// SPDX-License-Identifier: MIT
/*
 * The demo's real input as one piece, and the way to run and print it.
 *
 * Immutable between scene_open() and scene_close().
 */
#include "tools/demo/scene.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "tools/demo/ocr_line.h"

static const char *const page_keys[SCENE_PAGES] = { "page", "turned" };
static const char *const sound_keys[SCENE_SOUNDS] = { "speech-1", "speech-2" };

int scene_open(struct scene *scene, const char *data, const char *models)
{
	char path[PATH_MAX];
	int err = 0;

	memset(scene, 0, sizeof(*scene));
	snprintf(path, sizeof(path), "%s/page.png", data);
	for (int i = 0; i < SCENE_PAGES && !err; i++)
		err = image_read(&scene->pages[i], path);
	for (int i = 0; i < SCENE_SOUNDS && !err; i++) {
		snprintf(path, sizeof(path), "%s/%s.wav", data, sound_keys[i]);
		err = sound_read(&scene->sounds[i], path);
	}
	if (!err)
		image_turn(&scene->pages[1]);
	if (!err && models) {
		snprintf(path, sizeof(path), "%s/%s", models, demo_models[MODEL_REC_LONG].file);
		/* One class is the blank. */
		err = dict_read(&scene->dict, path, REC_CLASSES - 1);
	}
	if (err)
		scene_close(scene);
	return err;
}

void scene_close(struct scene *scene)
{
	for (int i = 0; i < SCENE_PAGES; i++)
		image_free(&scene->pages[i]);
	for (int i = 0; i < SCENE_SOUNDS; i++)
		sound_free(&scene->sounds[i]);
	dict_free(&scene->dict);
}

int scene_run(const struct scene *scene, struct infer *infer, struct findings *found)
{
	int err = 0;

	memset(found, 0, sizeof(*found));
	for (int i = 0; i < SCENE_PAGES && !err; i++)
		err = ocr_run(infer, &scene->pages[i], page_keys[i], &scene->dict,
			      &found->pages[i]);
	for (int i = 0; i < SCENE_SOUNDS && !err; i++)
		err = vad_run(infer, &scene->sounds[i], sound_keys[i], &found->sounds[i]);
	return err;
}

void findings_print(const struct scene *scene, const struct findings *found)
{
	for (int i = 0; i < SCENE_PAGES; i++) {
		const struct page_text *page = &found->pages[i];

		printf("\n%s, %d x %d, %d lines%s\n",
		       i ? "the same page, turned" : "photograph of a page",
		       scene->pages[i].width, scene->pages[i].height, page->count,
		       page->upside_down ? ", upside down" : "");
		for (int j = 0; j < page->count; j++)
			printf("  %5.1f %%  %s\n", 100 * page->lines[j].confidence,
			       page->lines[j].text);
	}
	for (int i = 0; i < SCENE_SOUNDS; i++) {
		const struct heard *heard = &found->sounds[i];

		printf("\nrecording %d, %.2f s, speech at:", i + 1,
		       (double)scene->sounds[i].count / VAD_RATE);
		for (int j = 0; j < heard->count; j++)
			printf("  %.2f-%.2f s", (double)heard->speech[j].start / VAD_RATE,
			       (double)heard->speech[j].end / VAD_RATE);
		printf("%s\n", heard->count ? "" : "  nowhere");
	}
	fflush(stdout);
}

static int pages_differ(const char *key, const struct page_text *got, const struct page_text *want)
{
	int n = 0;

	if (got->upside_down != want->upside_down) {
		fprintf(stderr, "%s: taken to be %s\n", key,
			got->upside_down ? "upside down" : "upright");
		n++;
	}
	if (got->count != want->count) {
		fprintf(stderr, "%s: found %d lines, expected %d\n", key, got->count, want->count);
		return n + 1;
	}
	for (int i = 0; i < got->count; i++) {
		const struct text_line *a = &got->lines[i], *b = &want->lines[i];

		if (!strcmp(a->text, b->text))
			continue;
		fprintf(stderr, "%s, line %d: read \"%s\", expected \"%s\"\n", key, i + 1,
			a->text, b->text);
		n++;
	}
	return n;
}

int findings_differ(const struct findings *got, const struct findings *want)
{
	int n = 0;

	for (int i = 0; i < SCENE_PAGES; i++)
		n += pages_differ(page_keys[i], &got->pages[i], &want->pages[i]);
	for (int i = 0; i < SCENE_SOUNDS; i++) {
		const struct heard *a = &got->sounds[i], *b = &want->sounds[i];

		if (a->count == b->count &&
		    !memcmp(a->speech, b->speech, a->count * sizeof(*a->speech)))
			continue;
		fprintf(stderr, "%s: %d stretches of speech, expected %d, or at other times\n",
			sound_keys[i], a->count, b->count);
		n++;
	}
	return n;
}
