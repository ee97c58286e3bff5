// SPDX-License-Identifier: MIT
/*
 * After a new queue came up: what is outstanding is submitted again, in the
 * order it was first sent. Part of the socket transport, before anybody else
 * uses the fresh socket; the lock is held.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/request.h"
#include "lib/socket.h"

/* The queue never counted it: keep its count of records what it was. */
static void end_here(struct braid *b, uint32_t number, int status)
{
	b->sock->seen_base++;
	request_end(b, number, status);
}

static int by_order(const void *x, const void *y, void *arg)
{
	const struct slot *slots = arg;
	uint64_t a = slots[*(const uint32_t *)x].order, c = slots[*(const uint32_t *)y].order;

	return a < c ? -1 : a > c;
}

static int batch_send_again(struct braid *b, struct batch *t)
{
	struct braid_submit arg = request_submit_arg(t);
	int ret;

	if (!t->n)
		return 0;
	ret = sync_call(b, BRAID_NR_SUBMIT, &arg, -1, NULL);
	if (ret && !arg.error)
		return ret;
	if (arg.error == -EAGAIN || arg.error == -EDQUOT)
		return -EAGAIN;		/* all or nothing: try the whole again */
	if (arg.accepted > t->n || (arg.accepted < t->n && arg.error >= 0))
		return -EBADMSG;
	request_ids(b, t, arg.first_id, arg.accepted);
	if (arg.accepted < t->n) {
		end_here(b, t->slots[arg.accepted], arg.error);
		for (uint32_t i = arg.accepted + 1; i < t->n; i++)
			t->slots[i - arg.accepted - 1] = t->slots[i];
		t->n -= arg.accepted + 1;
		return t->n ? -EINPROGRESS : 0;
	}
	t->n = 0;
	return 0;
}

/* What a request ends with instead of being sent again, 0 for nothing. */
static int not_again(const struct slot *s)
{
	if (s->cancelled)
		return -ECANCELED;
	return s->desc.model->gone || s->stranded ? -ENOENT : 0;
}

/* Send everything again, in the order it was first sent. */
int resubmit(struct braid *b)
{
	struct batch *t = calloc(1, sizeof(*t));
	uint32_t *list = calloc(b->n_sent ? b->n_sent : 1, sizeof(*list)), n = 0;
	int ret = -ENOMEM;

	if (!t || !list)
		goto out;
	t->max_slices = BRAID_MAX_TENSORS * BRAID_MAX_BATCH;
	t->slices = malloc(t->max_slices * sizeof(t->slices[0]));
	if (!t->slices)
		goto out;
	/* What completed on the connection that is gone is not counted again. */
	b->sock->seen_base = b->seen;
	for (uint32_t i = 0; i < b->n_slots; i++) {
		if (b->slots[i].state == SLOT_READY)
			b->sock->seen_base++;
		else if (b->slots[i].state == SLOT_SENT)
			list[n++] = i;
	}
	qsort_r(list, n, sizeof(*list), by_order, b->slots);
	ret = 0;
	for (uint32_t i = 0; i < n && !ret;) {
		while (i < n) {
			struct slot *s = &b->slots[list[i]];

			int status = not_again(s);

			if (!status && !request_fits(b, t, s->desc.model->n_inputs +
						   s->desc.model->n_outputs)) {
				if (t->n)
					break;
				status = -EMSGSIZE;	/* of a queue with other limits */
			}
			if (status)
				end_here(b, list[i++], status);
			else
				request_add(b, t, list[i++]);
		}
		while ((ret = batch_send_again(b, t)) == -EINPROGRESS) {
			/* One was refused; the rest goes as a batch of its own. */
			unsigned int left = t->n;

			t->n = t->n_slices = 0;
			for (unsigned int k = 0; k < left; k++)
				request_add(b, t, t->slots[k]);
		}
		t->n = t->n_slices = 0;
	}
out:
	if (t)
		free(t->slices);
	free(t);
	free(list);
	return ret;
}
