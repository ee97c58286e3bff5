// SPDX-License-Identifier: MIT
/* Run a model once on zeros and print what it gives. */
#include <stdio.h>
#include <stdlib.h>

#include <braid.h>

int main(int argc, char **argv)
{
	const void *in[BRAID_MAX_TENSORS];
	void *out[BRAID_MAX_TENSORS];
	struct braid_model *m;
	struct braid *b;
	int ret;

	ret = braid_open(NULL, &b);
	if (ret)
		goto fail;
	ret = braid_model_find(b, argc > 1 ? argv[1] : "null", &m);
	if (ret)
		goto fail;
	for (unsigned int i = 0; i < braid_model_inputs(m); i++)
		in[i] = calloc(1, braid_model_input(m, i)->bytes);
	for (unsigned int i = 0; i < braid_model_outputs(m); i++)
		out[i] = calloc(1, braid_model_output(m, i)->bytes);
	ret = braid_infer(b, m, in, out, -1);
	if (ret)
		goto fail;
	for (unsigned int i = 0; i < braid_model_outputs(m); i++)
		if (braid_model_output(m, i)->type == BRAID_TYPE_F32)
			printf("%s: %g ...\n", braid_model_output(m, i)->name,
			       *(float *)out[i]);
	braid_close(b);
	return 0;

fail:
	fprintf(stderr, "%s\n", braid_error());
	return 1;
}
