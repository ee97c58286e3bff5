// SPDX-License-Identifier: MIT
/*
 * Models as a tenant sees them. A handle stays the same while the queue's id
 * for the model may change under it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/conn.h"

#define API __attribute__((visibility("default")))

/* A model with room for every tensor that there may be. */
struct braid_model *model_blank(void)
{
	return calloc(1, sizeof(struct braid_model) +
		      BRAID_MAX_TENSORS * sizeof(struct braid_tensor));
}

static void model_fill(struct braid_model *m, const struct braid_model_get *arg)
{
	m->id = arg->id;
	memcpy(m->name, arg->name, sizeof(m->name));
	m->name[sizeof(m->name) - 1] = 0;
	memcpy(m->digest, arg->digest, sizeof(m->digest));
	m->n_inputs = arg->n_inputs;
	m->n_outputs = arg->n_outputs;
}

struct braid_model_get model_query(struct braid_model *m)
{
	return (struct braid_model_get){
		.size = sizeof(struct braid_model_get),
		.tensors = { sizeof(struct braid_tensor), BRAID_MAX_TENSORS,
			     (uintptr_t)m->tensors },
	};
}

/*
 * Link it, or drop it for the handle that is there. In the reader: a queue
 * that returns before the caller wakes must find it in the list.
 */
static void model_taken(struct braid *b, struct call *call)
{
	const struct braid_model_get *arg = call->arg;
	struct braid_model **m = call->data, *known;

	if (!call->ret && (arg->n_inputs > BRAID_MAX_TENSORS ||
			   arg->n_outputs > BRAID_MAX_TENSORS - arg->n_inputs))
		call->ret = -EBADMSG;
	if (call->ret)
		return;
	for (known = b->models; known; known = known->next)
		if (known->id == arg->id && !known->gone)
			break;
	if (known) {
		free(*m);
		*m = known;
	} else {
		model_fill(*m, arg);
		(*m)->next = b->models;
		b->models = *m;
	}
	(*m)->users++;
}

/* By name, or the one after @prev, or the first. */
static int model_get(struct braid *b, const char *name, const struct braid_model *prev,
		     struct braid_model **out)
{
	struct braid_model *m = model_blank();
	struct braid_model_get arg;
	int ret;

	if (!m)
		return braid_fail(-ENOMEM, "no memory");
	conn_lock(b);
	do {
		struct call call = { .taken = model_taken, .data = &m };

		arg = model_query(m);
		if (name)
			strncpy(arg.name, name, sizeof(arg.name) - 1);
		else
			arg.flags = BRAID_MODEL_GET_NEXT;
		ret = conn_wait_up(b);
		if (prev)
			arg.id = prev->id;	/* another one after a reconnection */
		if (!ret)
			ret = conn_ask(b, &call, BRAID_NR_MODEL_GET, &arg);
	} while (ret == -ECONNRESET && !b->dead);
	if (ret && !b->dead)
		braid_fail(ret, "model %s: %s", name ? name : "after the last one",
			   strerror(-ret));
	conn_unlock(b);
	if (ret)
		free(m);
	else
		*out = m;
	return ret;
}

API int braid_model_find(struct braid *b, const char *name, struct braid_model **out)
{
	int ret;

	if (!*name || strlen(name) >= BRAID_NAME_MAX)
		return braid_fail(-EINVAL, "model name '%s': 1 to %d characters", name,
				  BRAID_NAME_MAX - 1);
	ret = model_get(b, name, NULL, out);
	return ret == -ENOENT ? braid_fail(ret, "no model '%s'", name) : ret;
}

API int braid_model_next(struct braid *b, const struct braid_model *prev,
			 struct braid_model **out)
{
	int ret = model_get(b, NULL, prev, out);

	return ret == -ENOENT ? braid_fail(ret, "no further model") : ret;
}

API void braid_model_put(struct braid *b, struct braid_model *m)
{
	struct braid_model **at;

	if (!m)
		return;
	conn_lock(b);
	for (at = &b->models; *at && *at != m; at = &(*at)->next)
		;
	if (*at && !--m->users) {
		*at = m->next;
		free(m);
	}
	conn_unlock(b);
}

API const char *braid_model_name(const struct braid_model *m)
{
	return m->name;
}

API const uint8_t *braid_model_digest(const struct braid_model *m)
{
	return m->digest;
}

API unsigned int braid_model_inputs(const struct braid_model *m)
{
	return m->n_inputs;
}

API unsigned int braid_model_outputs(const struct braid_model *m)
{
	return m->n_outputs;
}

API const struct braid_tensor *braid_model_input(const struct braid_model *m, unsigned int i)
{
	return i < m->n_inputs ? &m->tensors[i] : NULL;
}

API const struct braid_tensor *braid_model_output(const struct braid_model *m, unsigned int i)
{
	return i < m->n_outputs ? &m->tensors[m->n_inputs + i] : NULL;
}
