// SPDX-License-Identifier: MIT
/*
 * braid-roundtrip: what a request costs by itself, beside what two processes
 * must pay to exchange a message and an answer.
 *
 * In turn, in one run: a bare ping-pong over a SOCK_SEQPACKET pair, with
 * messages as long as a SUBMIT of one request and a completion, and requests
 * to a model that does next to nothing, from submit to completion. With --sleep
 * answers to requests are waited for asleep, as the ping-pong's are.
 */
#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <braid.h>

#define ROUNDS		40
#define EACH		500
#define WARMUP		4	/* rounds that do not count */
#define TOTAL		((ROUNDS - WARMUP) * EACH)

#define PING	(sizeof(struct braid_msg) + sizeof(struct braid_submit) + \
		 sizeof(struct braid_request) + 2 * sizeof(struct braid_slice))
#define PONG	(sizeof(struct braid_msg) + sizeof(struct braid_completion))

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static pid_t start_echo(int *sock)
{
	char buf[PING];
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -1;
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(pair[0]);
		while (recv(pair[1], buf, sizeof(buf), 0) > 0)
			if (send(pair[1], buf, PONG, MSG_NOSIGNAL) < 0)
				break;
		_exit(0);
	}
	close(pair[1]);
	*sock = pair[0];
	return pid;
}

/* Times of EACH exchanges. */
static int bare(int sock, uint64_t *ns)
{
	char buf[PING] = { 0 };

	for (int i = 0; i < EACH; i++) {
		uint64_t t = now_ns();

		if (send(sock, buf, PING, MSG_NOSIGNAL) < 0 ||
		    recv(sock, buf, sizeof(buf), 0) <= 0)
			return -EPIPE;
		ns[i] = now_ns() - t;
	}
	return 0;
}

static int requests(struct braid *b, const struct braid_model *m, uint64_t *ns)
{
	float in[1024] = { 0 }, out[1024];
	const void *ins[1] = { in };
	void *outs[1] = { out };

	for (int i = 0; i < EACH; i++) {
		uint64_t t = now_ns();
		int ret = braid_infer(b, m, ins, outs, -1);

		if (ret)
			return ret;
		ns[i] = now_ns() - t;
	}
	return 0;
}

static json_t *figures(uint64_t *ns, double *median)
{
	qsort(ns, TOTAL, sizeof(*ns), ascending);
	*median = ns[TOTAL / 2] / 1e3;
	return json_pack("{s:f,s:f,s:f,s:f}", "p10_us", ns[TOTAL / 10] / 1e3, "p50_us", *median,
			 "p90_us", ns[TOTAL / 10 * 9] / 1e3, "p99_us", ns[TOTAL / 100 * 99] / 1e3);
}

int main(int argc, char **argv)
{
	static uint64_t ping[TOTAL + EACH], braid[TOTAL + EACH];
	bool asleep = argc > 1 && !strcmp(argv[1], "--sleep");
	const char *name = argc > 1 + asleep ? argv[1 + asleep] : "null";
	struct braid_model *m;
	json_t *a, *c, *doc;
	double pm, bm;
	struct braid *b;
	int sock, ret;
	pid_t echo;

	if (argc > 2 + asleep || *name == '-') {
		fprintf(stderr, "usage: braid-roundtrip [--sleep] [MODEL]\n"
			"MODEL: null; at most 4 KiB in and out\n");
		return 2;
	}
	if (braid_open(NULL, &b) || braid_model_find(b, name, &m)) {
		fprintf(stderr, "braid-roundtrip: %s\n", braid_error());
		return 1;
	}
	if (braid_model_inputs(m) != 1 || braid_model_outputs(m) != 1 ||
	    braid_model_input(m, 0)->bytes > 4096 || braid_model_output(m, 0)->bytes > 4096) {
		fprintf(stderr, "braid-roundtrip: %s is too large for this\n", name);
		return 2;
	}
	if (asleep)
		braid_set_spin(b, 0);
	echo = start_echo(&sock);
	if (echo < 0)
		return 1;
	for (int r = 0, at = 0; r < ROUNDS; r++) {
		ret = bare(sock, ping + at);
		if (!ret)
			ret = requests(b, m, braid + at);
		if (ret) {
			fprintf(stderr, "braid-roundtrip: %s\n", braid_error());
			return 1;
		}
		if (r >= WARMUP)
			at += EACH;
	}
	a = figures(ping, &pm);
	c = figures(braid, &bm);
	doc = json_pack("{s:s,s:b,s:i,s:o,s:o,s:f}", "model", name, "spins", !asleep, "samples",
			TOTAL, "ping_pong", a, "request", c, "ratio_of_medians", bm / pm);
	json_dumpf(doc, stdout, JSON_INDENT(1));
	putchar('\n');
	json_decref(doc);
	braid_close(b);
	kill(echo, SIGKILL);
	waitpid(echo, NULL, 0);
	return 0;
}
