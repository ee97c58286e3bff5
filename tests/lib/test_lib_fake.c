// SPDX-License-Identifier: MIT
/*
 * libbraid against a queue that dies at the worst moments, does not read, or
 * says what it should not. Each case is one that a real queue can bring about
 * only by chance.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <braid.h>

#include "tests/lib/fake.h"
#include "tests/tap.h"

#define ROUNDS	200
#define SENDERS	80

/* What the queue's thread saw, for the tenant's to report. */
struct seen {
	uint64_t seen[4];
	unsigned int requests;
	int nr;
};

static struct fake f;
static struct seen saw;
static atomic_int stage;
static pthread_t queue;
static struct braid *b;
static struct braid_model *m;
static struct braid_buf *buf;

static void sleep_ms(unsigned int ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000l };

	nanosleep(&ts, NULL);
}

static void wait_stage(int n)
{
	while (atomic_load(&stage) < n)
		sleep_ms(1);
}

/* A queue that does as the script says, and a tenant with a model and a buffer. */
static void begin(void *(*script)(void *))
{
	fake_start(&f);
	memset(&saw, 0, sizeof(saw));
	atomic_store(&stage, 0);
	pthread_create(&queue, NULL, script, NULL);
	if (braid_open(f.path, &b) || braid_model_find(b, "m", &m) ||
	    braid_buf_new(b, 4096, &buf)) {
		printf("Bail out! %s\n", braid_error());
		exit(1);
	}
}

static void end(void)
{
	braid_close(b);
	pthread_join(queue, NULL);
	fake_stop(&f);
}

static int submit(unsigned int n, uint64_t user_data)
{
	const struct braid_at at[2] = { { buf, 0 }, { buf, 64 } };
	struct braid_job_desc jobs[BRAID_MAX_BATCH];

	for (unsigned int i = 0; i < n; i++)
		jobs[i] = (struct braid_job_desc){ .model = m, .io = at, .priority = 1,
						   .user_data = user_data + i };
	return braid_submit(b, jobs, n);
}

static int readable(int timeout_ms)
{
	struct pollfd p = { .fd = braid_fd(b), .events = POLLIN };

	return poll(&p, 1, timeout_ms);
}

/* Two requests; one completes, nobody takes it, and the queue is gone. */
static void *seen_script(void *arg)
{
	uint64_t first;

	fake_accept(&f);
	fake_serve(&f, -1);
	first = fake_user_data(&f, 0);
	fake_taken(&f, 1, 0);
	fake_serve(&f, -1);
	fake_taken(&f, 1, 0);
	fake_complete(&f, first, 0, 1);
	fake_hang_up(&f);
	atomic_store(&stage, 1);
	fake_accept(&f);
	saw.nr = fake_serve(&f, -1);
	saw.requests = f.call.count[0];
	first = fake_user_data(&f, 0);
	fake_taken(&f, 1, 0);
	fake_serve(&f, BRAID_NR_GET_INFO);
	saw.seen[0] = f.call.seen;
	fake_answer(&f, 0);
	fake_complete(&f, first, 0, 1);
	/* One that nobody submitted. */
	fake_complete(&f, 0x7777700000007, 0, 1);
	fake_serve(&f, BRAID_NR_GET_INFO);
	saw.seen[1] = f.call.seen;
	fake_answer(&f, 0);
	fake_serve(&f, -1);
	fake_hang_up(&f);
	return NULL;
}

static void test_seen(void)
{
	struct braid_completion c[4];
	struct braid_get_info info;
	int n = 0;

	begin(seen_script);
	is_int(submit(1, 1), 1, "a request");
	is_int(submit(1, 2), 1, "and another");
	/* A command that it left unread would make its socket drop the completion. */
	wait_stage(1);
	is_int(braid_info(b, &info), 0, "the queue dies and returns under a third call");
	is_int(readable(0), 1, "braid_fd() tells the completion that came meanwhile");
	while (n < 2)
		n += braid_wait(b, c + n, 1, -1);
	ok(c[0].user_data == 1 && c[1].user_data == 2, "both complete, in order");
	/* The stray record comes after them: read it in before asking again. */
	sleep_ms(50);
	braid_wait(b, c, 4, 0);
	is_int(braid_info(b, &info), 0, "the connection is fine");
	end();
	is_int(saw.requests, 1, "only what had not completed was sent again");
	is_int(saw.seen[0], 0, "the new queue is not told of the old one's completions");
	is_int(saw.seen[1], 2, "but of its own, one that nobody had asked for included");
	is_int(f.links, 2, "one reconnection");
	is_int(f.adopted, 1, "the buffer was brought along");
}

/* Round by round: one of two is taken, and the queue dies with the answer. */
static void *prefix_script(void *arg)
{
	uint64_t held, other;

	fake_accept(&f);
	for (int i = 0; i < ROUNDS; i++) {
		fake_serve(&f, -1);		/* the held one */
		fake_taken(&f, 1, 0);
		fake_serve(&f, -1);		/* two, of which one is taken */
		fake_taken(&f, 1, -EDQUOT);
		fake_hang_up(&f);
		fake_accept(&f);
		if (fake_serve(&f, -1) != BRAID_NR_SUBMIT)
			break;
		saw.requests += f.call.count[0];
		held = fake_user_data(&f, 0);
		other = fake_user_data(&f, 1);
		fake_taken(&f, f.call.count[0], 0);
		fake_complete(&f, other, 0, 1);
		fake_complete(&f, held, 0, 1);
	}
	fake_serve(&f, -1);
	fake_hang_up(&f);
	return NULL;
}

static atomic_uint taken;

static void *take_all(void *arg)
{
	struct braid_completion c[4];
	unsigned int *wrong = arg;

	while (atomic_load(&taken) < 2 * ROUNDS) {
		int n = braid_wait(b, c, 4, 1000);

		for (int i = 0; i < n; i++) {
			*wrong += c[i].user_data != 10 && c[i].user_data != 20;
			atomic_fetch_add(&taken, 1);
		}
		if (n < 0)
			break;
	}
	return NULL;
}

static void test_prefix(void)
{
	unsigned int wrong = 0, short_of = 0;
	pthread_t reader;

	begin(prefix_script);
	pthread_create(&reader, NULL, take_all, &wrong);
	for (unsigned int i = 0; i < ROUNDS; i++) {
		if (submit(1, 10) != 1)
			break;
		short_of += submit(2, 20) == 1;
		while (atomic_load(&taken) < 2 * (i + 1))
			sleep_ms(1);
	}
	pthread_join(reader, NULL);
	is_int(short_of, ROUNDS, "%d times one of two is taken and the queue dies", ROUNDS);
	is_int(atomic_load(&taken), 2 * ROUNDS, "every request taken completes once");
	is_int(wrong, 0, "none that was refused does");
	end();
	is_int(saw.requests, 2 * ROUNDS, "what was refused is not sent again");
}

/* The queue sends until somebody reads, and reads only then. */
static void *full_script(void *arg)
{
	fake_accept(&f);
	fake_serve(&f, BRAID_NR_CANCEL);	/* the first SUBMIT: not answered yet */
	sleep_ms(300);
	for (int i = 0; i < 400; i++)
		fake_complete(&f, 0x7777700000007, 0, 64);
	do {
		fake_taken(&f, 0, -EAGAIN);
		saw.requests++;
	} while (fake_serve(&f, -1) == BRAID_NR_SUBMIT);
	fake_hang_up(&f);
	return NULL;
}

static void *send_batch(void *arg)
{
	return (void *)(intptr_t)submit(BRAID_MAX_BATCH, 1000);
}

static void test_full(void)
{
	pthread_t t[SENDERS];
	unsigned int refused = 0;
	struct braid_completion c;

	begin(full_script);
	for (int i = 0; i < SENDERS; i++)
		pthread_create(&t[i], NULL, send_batch, NULL);
	sleep_ms(150);
	is_int(braid_wait(b, &c, 1, 0), 0, "braid_wait() returns while others can't send");
	for (int i = 0; i < SENDERS; i++) {
		void *ret;

		pthread_join(t[i], &ret);
		refused += (intptr_t)ret == -EAGAIN;
	}
	is_int(refused, SENDERS, "a queue that waits to be read from is read from");
	end();
	is_int(saw.requests, SENDERS, "and got each command once");
}

/* CANCEL is answered, then the queue dies with the request. */
static void *cancel_script(void *arg)
{
	fake_accept(&f);
	fake_serve(&f, -1);
	fake_taken(&f, 2, 0);
	saw.nr = fake_serve(&f, -1);
	f.call.arg.cancel.state = BRAID_CANCEL_LATER;
	fake_answer(&f, 0);
	fake_hang_up(&f);
	fake_accept(&f);
	fake_serve(&f, -1);
	saw.requests = f.call.count[0];
	saw.seen[0] = fake_user_data(&f, 0);
	fake_taken(&f, 1, 0);
	fake_complete(&f, saw.seen[0], 0, 1);
	fake_serve(&f, -1);
	fake_hang_up(&f);
	return NULL;
}

static void test_cancel(void)
{
	struct braid_completion c[2];
	int n = 0;

	begin(cancel_script);
	is_int(submit(2, 5), 2, "two requests");
	is_int(braid_cancel(b, 6), 1, "one is cancelled, later");
	while (n < 2)
		n += braid_wait(b, c + n, 2 - n, -1);
	ok(c[0].user_data == 6 && c[0].status == -ECANCELED,
	   "the queue died: it is cancelled all the same");
	ok(c[1].user_data == 5 && !c[1].status, "the other one runs");
	is_int(braid_cancel(b, 6), -ENOENT, "now there is none to cancel");
	end();
	is_int(saw.requests, 1, "what was cancelled was not sent again");
}

/* A buffer is freed under a request, then the queue dies. */
static void *strand_script(void *arg)
{
	fake_accept(&f);
	fake_serve(&f, -1);
	fake_taken(&f, 1, 0);
	saw.nr = fake_serve(&f, -1);
	fake_answer(&f, 0);
	fake_hang_up(&f);
	fake_accept(&f);
	fake_serve(&f, -1);
	fake_hang_up(&f);
	return NULL;
}

static void test_strand(void)
{
	struct braid_completion c = { 0 };

	begin(strand_script);
	is_int(submit(1, 5), 1, "a request");
	is_int(braid_buf_free(b, buf), 0, "its buffer is freed");
	is_int(braid_wait(b, &c, 1, -1), 1, "the queue dies: it ends");
	is_int(c.status, -ENOENT, "in ENOENT, since its memory is gone");
	end();
	is_int(saw.nr, BRAID_NR_BUF_FREE, "the queue had been told");
	is_int(f.adopted, 0, "the next one is not given it");
}

/* A reply is held back while a completion comes. */
static void *fd_script(void *arg)
{
	uint64_t first;

	fake_accept(&f);
	fake_serve(&f, -1);
	first = fake_user_data(&f, 0);
	fake_taken(&f, 1, 0);
	fake_serve(&f, BRAID_NR_GET_INFO);
	fake_complete(&f, first, 0, 1);
	wait_stage(1);
	fake_answer(&f, 0);
	fake_serve(&f, -1);
	fake_hang_up(&f);
	return NULL;
}

static void *ask_info(void *arg)
{
	struct braid_get_info info;

	return (void *)(intptr_t)braid_info(b, &info);
}

static void test_fd(void)
{
	struct braid_completion c;
	pthread_t other;
	void *ret;

	begin(fd_script);
	submit(1, 5);
	pthread_create(&other, NULL, ask_info, NULL);
	sleep_ms(200);		/* it has read the completion and sleeps on */
	is_int(readable(20000), 1, "braid_fd() tells what another thread's call took in");
	is_int(braid_wait(b, &c, 1, 0), 1, "there it is");
	atomic_store(&stage, 1);
	pthread_join(other, &ret);
	is_int((intptr_t)ret, 0, "the other call ends too");
	is_int(readable(0), 0, "then there is nothing more");
	end();
}

/* Gone and back with nothing outstanding, a child holding the old socket. */
static void *idle_script(void *arg)
{
	fake_accept(&f);
	fake_serve(&f, -1);	/* the buffer is freed: the child is there */
	fake_answer(&f, 0);
	fake_hang_up(&f);
	fake_accept(&f);
	fake_serve(&f, -1);
	fake_hang_up(&f);
	return NULL;
}

static void test_idle(void)
{
	struct braid_get_info info;
	struct braid_completion c;
	int rounds = 0;
	pid_t child;

	begin(idle_script);
	child = fork();
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(f.sock);	/* the queue's end is not the tenant's to hold */
		pause();
		_exit(0);
	}
	is_int(braid_buf_free(b, buf), 0, "a child was forked");
	is_int(readable(20000), 1, "braid_fd() tells that the queue went, with nothing outstanding");
	while (readable(100) && rounds < 1000) {
		braid_wait(b, &c, 1, 0);
		rounds++;
	}
	ok(rounds < 100, "braid_wait() sees to it: then it is quiet (%d rounds)", rounds);
	is_int(braid_info(b, &info), 0, "the connection is back");
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	end();
}

/* It goes and never returns. */
static void *gone_script(void *arg)
{
	fake_accept(&f);
	fake_serve(&f, -1);
	fake_taken(&f, 1, 0);
	close(f.listener);
	f.listener = -1;
	fake_hang_up(&f);
	return NULL;
}

static void test_gone(void)
{
	char plain[64] = { 0 };
	const void *in[1] = { plain };
	void *out[1] = { plain };
	struct braid_get_info info;
	struct braid_completion c;
	struct braid_model *other;
	struct braid_buf *more;

	begin(gone_script);
	braid_set_patience(b, 100);
	is_int(submit(1, 5), 1, "a request");
	is_int(braid_wait(b, &c, 1, -1), 1, "patience is over: it completes");
	ok(c.user_data == 5 && c.status == -ECONNRESET, "with ECONNRESET");
	is_int(readable(0), 1, "braid_fd() tells it");
	is_int(braid_wait(b, &c, 1, -1), -ECONNRESET, "waiting: %s", braid_error());
	ok(strstr(braid_error(), f.path), "which names the socket");
	is_int(submit(1, 6), -ECONNRESET, "submitting: %s", braid_error());
	is_int(braid_infer(b, m, in, out, -1), -ECONNRESET, "inferring: %s", braid_error());
	is_int(braid_info(b, &info), -ECONNRESET, "asking: %s", braid_error());
	is_int(braid_model_find(b, "m", &other), -ECONNRESET, "a model: %s", braid_error());
	is_int(braid_buf_new(b, 64, &more), -ECONNRESET, "a buffer: %s", braid_error());
	is_int(braid_cancel(b, 5), -ENOENT, "nothing to cancel");
	is_int(braid_buf_free(b, buf), 0, "what there is can be freed");
	end();
}

/* Answers to SUBMIT that can't be: nothing taken and no reason, more than sent. */
static void *nonsense_script(void *arg)
{
	uint64_t first;

	fake_accept(&f);
	fake_serve(&f, -1);
	fake_taken(&f, 0, 0);
	fake_serve(&f, -1);
	fake_taken(&f, 0, 0);
	fake_serve(&f, -1);
	first = fake_user_data(&f, 0);
	fake_taken(&f, 77, 0);
	fake_complete(&f, first, 0, 2);
	fake_serve(&f, -1);
	fake_hang_up(&f);
	return NULL;
}

static void test_nonsense(void)
{
	char plain[64] = { 0 };
	const void *in[1] = { plain };
	void *out[1] = { plain };
	struct braid_completion c[2];

	begin(nonsense_script);
	is_int(submit(2, 5), -EBADMSG, "none taken, and no reason: %s", braid_error());
	is_int(braid_infer(b, m, in, out, -1), -EBADMSG, "braid_infer() too: %s", braid_error());
	is_int(submit(1, 5), 1, "more taken than there were: what there was");
	is_int(braid_wait(b, c, 2, -1), 1, "completed twice: once");
	is_int(braid_wait(b, c, 2, 20), 0, "and no more");
	end();
}

/* Greetings that make no sense, and an answer that lacks its descriptor. */
static void *greet_script(void *arg)
{
	f.max_message = 16;
	fake_accept(&f);
	fake_serve(&f, -1);
	fake_hang_up(&f);
	fake_accept(&f);
	fake_serve(&f, BRAID_NR_GET_INFO);
	f.call.arg.get_info.max_message = WIRE_MAX_BYTES;
	fake_answer(&f, -EPROTONOSUPPORT);
	fake_hang_up(&f);
	fake_accept(&f);
	f.max_message = WIRE_MAX_BYTES;
	fake_serve(&f, BRAID_NR_BUF_ALLOC);
	f.call.arg.buf_alloc.length = 4096;
	fake_answer(&f, 0);
	fake_serve(&f, -1);
	fake_hang_up(&f);
	return NULL;
}

static void test_greeting(void)
{
	fake_start(&f);
	pthread_create(&queue, NULL, greet_script, NULL);
	is_int(braid_open(f.path, &b), -EPROTO, "messages of 16 bytes: %s", braid_error());
	is_int(braid_open(f.path, &b), -EPROTONOSUPPORT, "another version: %s", braid_error());
	is_int(braid_open(f.path, &b), 0, "connected");
	is_int(braid_buf_new(b, 64, &buf), -EBADMSG, "no descriptor: %s", braid_error());
	end();
}

int main(void)
{
	alarm(40);	/* what hangs is a failure */
	test_seen();
	test_prefix();
	test_full();
	test_cancel();
	test_strand();
	test_fd();
	test_idle();
	test_gone();
	test_nonsense();
	test_greeting();
	return tap_done();
}
