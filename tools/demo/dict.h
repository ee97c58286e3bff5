/* SPDX-License-Identifier: MIT */
/*
 * The characters that a recognizer knows.
 */
#ifndef BRAID_DEMO_DICT_H
#define BRAID_DEMO_DICT_H

struct dict {
	char *text;		/* the letters, each terminated by NUL */
	char **letters;
	int count;
};

/**
 * dict_read() - take the characters out of a recognizer's ONNX file
 * @dict: filled on success; dict_free() it
 * @path: the ONNX file
 * @count: how many letters the model's classes ask for
 *
 * PP-OCR's converted recognizers carry them in metadata_props under
 * "character", a letter a line; the space comes after the last.
 *
 * Return: 0, or a negative errno after one line on stderr.
 */
int dict_read(struct dict *dict, const char *path, int count);

/** dict_free() - release; harmless on a zeroed dict */
void dict_free(struct dict *dict);

/** dict_letter() - the letter of class @i in UTF-8, or "?" for none */
const char *dict_letter(const struct dict *dict, int i);

#endif
