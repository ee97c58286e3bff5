// SPDX-License-Identifier: GPL-2.0-only
/*
 * The tests of core/ as KUnit cases: a program of user space is a case, and a
 * check that does not hold in it fails the case. Cases run one after the other.
 */
#include <kunit/test.h>
#include <linux/module.h>

#include "shim/tests/tap.h"

static char *steps = "6000";
module_param(steps, charp, 0);
MODULE_PARM_DESC(steps, "operations of the property test");

static char *seed;
module_param(seed, charp, 0);
MODULE_PARM_DESC(seed, "its first seed; without it, from the clock");

static struct kunit *running;
static unsigned long checks;

const char *getenv(const char *name)
{
	if (!strcmp(name, "BRAID_STEPS"))
		return steps;
	return !strcmp(name, "BRAID_SEED") ? seed : NULL;
}

bool kunit_tap(bool good, const char *file, int line, const char *fmt, ...)
{
	struct va_format what;
	va_list args;

	checks++;
	if (good)
		return true;
	va_start(args, fmt);
	what.fmt = fmt;
	what.va = &args;
	KUNIT_FAIL(running, "%s:%d: %pV", file, line, &what);
	va_end(args);
	return false;
}

void kunit_diag(const char *fmt, ...)
{
	struct va_format what;
	va_list args;

	va_start(args, fmt);
	what.fmt = fmt;
	what.va = &args;
	kunit_info(running, "%pV", &what);
	va_end(args);
}

/* A case that checks nothing is a failure. */
static void run(struct kunit *test, int (*program)(void))
{
	running = test;
	checks = 0;
	program();
	KUNIT_EXPECT_GT(test, checks, 0ul);
	kunit_info(test, "%lu checks", checks);
}

#define CASE(name)				\
int test_core_##name##_main(void);		\
static void name##_case(struct kunit *test)	\
{						\
	run(test, test_core_##name##_main);	\
}

CASE(rbtree)
CASE(order)
CASE(window)
CASE(tenant)
CASE(agent)
CASE(property)

static struct kunit_case cases[] = {
	KUNIT_CASE(rbtree_case),
	KUNIT_CASE(order_case),
	KUNIT_CASE(window_case),
	KUNIT_CASE(tenant_case),
	KUNIT_CASE(agent_case),
	KUNIT_CASE(property_case),
	{}
};

static struct kunit_suite suite = {
	.name = "braid_core",
	.test_cases = cases,
};

kunit_test_suite(suite);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("KUnit tests of Braid's queue logic");
