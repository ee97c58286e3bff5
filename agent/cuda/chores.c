// SPDX-License-Identifier: MIT
/*
 * The thread for what takes the driver a while and must not hold up launches:
 * see cuda.h. One after the other, in the order they were put.
 *
 * The mutex protects the list and the flags of what is on it; it is not held
 * while a chore is done.
 */
#include <errno.h>
#include <stdlib.h>

#include "agent/cuda/cuda.h"

struct chores {
	struct device *dev;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t more, idle;
	struct chore *first, **end;
	bool busy, stop;
};

static void *serve(void *arg)
{
	struct chores *c = arg;
	struct chore *next;

	pthread_setname_np(pthread_self(), "braid-chores");
	gpu_enter(c->dev);
	pthread_mutex_lock(&c->lock);
	for (;;) {
		next = c->first;
		if (!next) {
			c->busy = false;
			pthread_cond_broadcast(&c->idle);
			if (c->stop)
				break;
			pthread_cond_wait(&c->more, &c->lock);
			continue;
		}
		c->first = next->next;
		if (!c->first)
			c->end = &c->first;
		c->busy = true;
		next->queued = false;
		pthread_mutex_unlock(&c->lock);
		next->run(next);
		pthread_mutex_lock(&c->lock);
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

int chores_new(struct device *d, struct chores **out)
{
	struct chores *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->dev = d;
	c->end = &c->first;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->more, NULL);
	pthread_cond_init(&c->idle, NULL);
	if (pthread_create(&c->thread, NULL, serve, c)) {
		free(c);
		return -EAGAIN;
	}
	*out = c;
	return 0;
}

void chores_free(struct chores *c)
{
	if (!c)
		return;
	pthread_mutex_lock(&c->lock);
	c->stop = true;
	pthread_cond_signal(&c->more);
	pthread_mutex_unlock(&c->lock);
	pthread_join(c->thread, NULL);
	pthread_cond_destroy(&c->more);
	pthread_cond_destroy(&c->idle);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

void chores_put(struct chores *c, struct chore *chore)
{
	pthread_mutex_lock(&c->lock);
	if (!chore->queued) {
		chore->queued = true;
		chore->next = NULL;
		*c->end = chore;
		c->end = &chore->next;
		c->busy = true;
		pthread_cond_signal(&c->more);
	}
	pthread_mutex_unlock(&c->lock);
}

bool chores_idle(struct chores *c)
{
	bool idle;

	pthread_mutex_lock(&c->lock);
	idle = !c->busy;
	pthread_mutex_unlock(&c->lock);
	return idle;
}

void chores_wait(struct chores *c)
{
	pthread_mutex_lock(&c->lock);
	while (c->busy)
		pthread_cond_wait(&c->idle, &c->lock);
	pthread_mutex_unlock(&c->lock);
}
