// SPDX-License-Identifier: GPL-2.0-only
/*
 * The one function of nvgpu that the probe looks at, without the rest: it gives
 * a context-switch record its sequence number, as nvgpu's does. What is written
 * to the parameter `script` becomes records:
 *
 *	s3:1000		context 3 starts at 1000 us
 *	e3:2000		it ends at 2000 us
 *	g5		five sequence numbers are missing
 *	r3000		the engine is reset
 */
#include <linux/ctype.h>
#include <linux/module.h>
#include <linux/mutex.h>

struct nvgpu_gpu_ctxsw_trace_entry {
	u8 tag;
	u8 vmid;
	u16 seqno;
	u32 context_id;
	u64 pid;
	u64 timestamp;
};

static DEFINE_MUTEX(write_lock);
static u16 seqno;

int nvgpu_gr_fecs_trace_write_entry(void *g, struct nvgpu_gpu_ctxsw_trace_entry *entry);

noinline int nvgpu_gr_fecs_trace_write_entry(void *g, struct nvgpu_gpu_ctxsw_trace_entry *entry)
{
	mutex_lock(&write_lock);
	entry->seqno = seqno++;
	mutex_unlock(&write_lock);
	/* The rest is for others to see: the compiler must not leave it out. */
	barrier_data(entry);
	return 0;
}

static unsigned int number(const char **s)
{
	unsigned int n = 0;

	while (isdigit(**s))
		n = n * 10 + *(*s)++ - '0';
	return n;
}

static int run_script(const char *s, const struct kernel_param *kp)
{
	while (*s) {
		struct nvgpu_gpu_ctxsw_trace_entry e = {};
		char word = *s++;
		unsigned int n;

		if (isspace(word))
			continue;
		n = number(&s);
		if (word == 'g') {
			seqno += n;
			continue;
		}
		if (word == 'r') {
			e.tag = 0xfe;
			e.timestamp = n * 1000ull;
		} else if ((word == 's' || word == 'e') && *s++ == ':') {
			e.tag = word == 's' ? 0x05 : 0x03;
			e.context_id = n;
			e.pid = 100 + n;
			e.timestamp = number(&s) * 1000ull;
		} else {
			return -EINVAL;
		}
		nvgpu_gr_fecs_trace_write_entry(NULL, &e);
	}
	return 0;
}

static const struct kernel_param_ops script_ops = { .set = run_script };
module_param_cb(script, &script_ops, NULL, 0200);

static int __init nvgputest_init(void)
{
	return 0;
}

static void __exit nvgputest_exit(void)
{
}

module_init(nvgputest_init);
module_exit(nvgputest_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Context-switch records without a GPU, for tests");
