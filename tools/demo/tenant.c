// SPDX-License-Identifier: MIT
/*
 * A tenant in a closed loop: the next request as soon as the answer is there
 * and compared.
 *
 * One thread, one connection, one request at a time, two buffers a model.
 * Before every request the output buffer is filled with NaN, so that the
 * answer to an earlier request can't pass for one to this.
 */
#include "tools/demo/tenant.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tools/demo/live.h"

#define TIMEOUT_MS	60000
#define ALIGN		64

/* A model of this tenant: where its tensors lie. */
struct place {
	struct braid_model *model;
	struct braid_buf *buf;
	struct braid_at io[2 * MODEL_MAX_TENSORS];
};

struct tenant {
	struct braid *braid;
	struct place places[MODEL_COUNT];
	struct tenant_shared *shared;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static void nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
}

static size_t tensor_room(const struct model_tensor *t)
{
	return (tensor_elems(t) * sizeof(float) + ALIGN - 1) / ALIGN * ALIGN;
}

/* Find the model, and lay out its tensors one after the other in a buffer. */
static int place_open(struct tenant *t, const struct demo_model *m)
{
	struct place *p = &t->places[m - demo_models];
	size_t bytes = 0;
	int err;

	if (p->model)
		return 0;
	err = live_model(t->braid, m, &p->model);
	if (err)
		return err;
	for (int i = 0; i < m->n_in + m->n_out; i++) {
		p->io[i].offset = bytes;
		bytes += tensor_room(i < m->n_in ? &m->in[i] : &m->out[i - m->n_in]);
	}
	err = braid_buf_new(t->braid, bytes, &p->buf);
	if (err)
		fprintf(stderr, "model %s: buffer of %zu bytes: %s\n", m->name, bytes,
			braid_error());
	for (int i = 0; i < m->n_in + m->n_out; i++)
		p->io[i].buf = p->buf;
	return err;
}

static float *tensor_at(const struct place *p, int i)
{
	return (float *)((char *)braid_buf_addr(p->buf) + p->io[i].offset);
}

static void account(struct tenant_shared *s, const struct braid_completion *c, uint64_t ns)
{
	unsigned int n = atomic_load(&s->done);

	if (n < TENANT_LATENCIES)
		s->latency_us[n] = ns / 1000 < UINT32_MAX ? ns / 1000 : UINT32_MAX;
	s->merge += c->merge_degree;
	s->fuse += c->fuse_degree;
	atomic_store(&s->done, n + 1);
}

static int request(struct tenant *t, const struct sample *s)
{
	const struct demo_model *m = s->model;
	struct place *p = &t->places[m - demo_models];
	struct braid_job_desc job = { .model = p->model, .io = p->io };
	const float *got[MODEL_MAX_TENSORS];
	struct braid_completion c;
	double distance;
	uint64_t start;
	int err, other;

	for (int i = 0; i < m->n_in; i++)
		memcpy(tensor_at(p, i), s->in[i], tensor_elems(&m->in[i]) * sizeof(float));
	for (int i = 0; i < m->n_out; i++) {
		got[i] = tensor_at(p, m->n_in + i);
		memset(tensor_at(p, m->n_in + i), 0xff, tensor_elems(&m->out[i]) * sizeof(float));
	}

	start = now_ns();
	err = braid_submit(t->braid, &job, 1);
	if (err == 1)
		err = braid_wait(t->braid, &c, 1, live_patience(TIMEOUT_MS));
	if (err != 1) {
		fprintf(stderr, "%s %s: %s\n", m->name, s->golden->key,
			err ? braid_error() : "no answer in time");
		return err ? err : -ETIMEDOUT;
	}
	if (c.status) {
		fprintf(stderr, "%s %s: ended with: %s\n", m->name, s->golden->key,
			strerror(-c.status));
		return c.status;
	}
	account(t->shared, &c, now_ns() - start);

	distance = golden_distance(s->golden, got);
	if (!(distance <= t->shared->worst))
		t->shared->worst = distance;
	other = golden_other_class(s->golden, m, got);
	if ((other || !(distance <= golden_tolerance())) &&
	    !atomic_fetch_add(&t->shared->wrong, 1))
		fprintf(stderr, "%s %s: differs from the reference by %.2g (relative L2), %d rows have another best class\n",
			m->name, s->golden->key, distance, other);
	return 0;
}

int tenant_main(const char *socket, const struct sample *const *samples, int count, int first,
		struct tenant_shared *shared)
{
	struct tenant t = { .shared = shared };
	int err;

	err = braid_open(socket, &t.braid);
	if (err)
		fprintf(stderr, "braidd at %s: %s\n", socket, braid_error());
	for (int i = 0; i < count && !err; i++)
		err = place_open(&t, samples[i]->model);
	if (err)
		goto out;

	atomic_store(&shared->ready, true);
	while (!atomic_load(&shared->go) && !atomic_load(&shared->stop))
		nap();
	for (int i = first; !err && !atomic_load(&shared->stop); i++)
		err = request(&t, samples[i % count]);
	if (err)
		atomic_store(&shared->failed, true);
out:
	braid_close(t.braid);
	return err ? 1 : 0;
}
