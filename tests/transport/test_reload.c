// SPDX-License-Identifier: MIT
/*
 * The model directory changes under load: SIGHUP brings models, replaces and
 * withdraws them, and no request is dropped. What can't be loaded is refused
 * with words and disturbs nobody.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <braid.h>

#include "tests/tap.h"
#include "tests/transport/storm.h"

static struct daemon d;

static void put_file(const char *name, const char *text)
{
	char path[200];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", d.models, name);
	f = fopen(path, "we");
	fputs(text, f);
	fclose(f);
}

static bool eventually(int (*f)(const char *), const char *arg, int want)
{
	for (int i = 0; i < 1000; i++) {
		if (f(arg) == want)
			return true;
		storm_sleep_ms(10);
	}
	return false;
}

static int served(const char *name)
{
	struct braid_model *m;
	struct braid *b;
	int ret = braid_open(d.socket, &b);

	if (!ret) {
		ret = braid_model_find(b, name, &m);
		braid_close(b);
	}
	return ret;
}

/* What the runner makes of max_degree. */
static int degree(const char *name)
{
	json_t *o = daemon_ask(&d, "{\"cmd\":\"runner\"}"), *m;
	int ret = -1;
	size_t i;

	json_array_foreach(json_object_get(o, "models"), i, m)
		if (!strcmp(json_string_value(json_object_get(m, "name")), name))
			ret = json_integer_value(json_object_get(m, "max_degree"));
	json_decref(o);
	return ret;
}

static int n_logged(const char *text)
{
	return daemon_logged(&d, text) > 0;
}

int main(void)
{
	static const char *const models[] = { "tiny_cnn", "tiny_mlp", NULL };
	char path[200];
	struct storm *s;

	daemon_start(&d, models, NULL);
	s = storm_new(&d);
	storm_start(s, models, 2);

	daemon_model(&d, "null", "fresh", 1);
	is_int(served("fresh"), -ENOENT, "a new file is not served at once");
	kill(d.pid, SIGHUP);
	ok(eventually(served, "fresh", 0), "SIGHUP: it is");

	snprintf(path, sizeof(path), "%s/fresh.onnx", d.models);
	unlink(path);
	kill(d.pid, SIGHUP);
	ok(eventually(served, "fresh", -ENOENT), "a file that is gone is withdrawn");

	put_file("broken.onnx", "this is no model");
	put_file("odd.ini", "[model]\nfile = tiny_mlp.onnx\ncolour = blue\n");
	put_file("nofile.ini", "[model]\nfile = nowhere.onnx\n");
	daemon_model(&d, "tiny_cnn", "other", 1);
	put_file("shape.ini", "[model]\nfile = other.onnx\nshape.nobody = 1x2\n");
	kill(d.pid, SIGHUP);
	ok(eventually(n_logged, "model=broken why=", 1), "a corrupt file is refused by name");
	ok(eventually(n_logged, "unknown key 'colour'", 1), "an unknown key too");
	ok(eventually(n_logged, "nowhere.onnx", 1), "a missing file too");
	ok(eventually(n_logged, "model=shape why=", 1), "a shape for no input too");
	ok(eventually(served, "other", 0), "a file that others bind is served under its own name");
	daemon_model(&d, "tiny_mlp", "alone", 1);
	put_file("alone.ini", "[model]\nmax_degre = 1\n");
	put_file("tiny_mlp.ini", "[model]\nconst.input = 3x\n");
	put_file("twin.ini", "[model]\nfile = tiny_cnn.onnx\n");
	kill(d.pid, SIGHUP);
	ok(eventually(served, "twin", 0), "a second binding of a file is served");
	is_int(served("tiny_cnn"), 0, "and the first still is");
	ok(eventually(n_logged, "model=alone why=\"alone.ini:2: unknown key 'max_degre'\"", 1),
	   "an .ini that is wrong is refused by line");
	is_int(served("alone"), -ENOENT, "and its model is not served without it");
	is_int(served("tiny_mlp"), 0, "one that was served before goes on as it was");
	snprintf(path, sizeof(path), "%s/tiny_mlp.ini", d.models);
	unlink(path);
	is_int(degree("twin"), 8, "a model has [runner]'s degree");
	put_file("twin.ini", "[model]\nfile = tiny_cnn.onnx\nmax_degree = 2\nprecision = auto\n");
	kill(d.pid, SIGHUP);
	ok(eventually(degree, "twin", 2), "until its .ini says something else, reloaded");
	put_file("secret.onnx", "x");
	snprintf(path, sizeof(path), "%s/secret.onnx", d.models);
	chmod(path, 0);
	kill(d.pid, SIGHUP);
	ok(eventually(n_logged, "model=secret why=", 1), "an unreadable one too");

	/* The same weights again, then others: the tenants must not notice. */
	daemon_model(&d, "tiny_mlp", "tiny_mlp", 1);
	kill(d.pid, SIGHUP);
	ok(storm_progress(s, 200), "the file touched, not changed: work goes on");
	is_int(served("tiny_mlp"), 0, "it is still served");
	storm_end(s);
	storm_check(s, "reload");

	daemon_model(&d, "tiny_mlp", "tiny_mlp", 2);
	kill(d.pid, SIGHUP);
	ok(eventually(n_logged, "model unloaded", 1), "a replaced model is unloaded when it is idle");
	is_int(served("tiny_mlp"), 0, "its successor is served");
	is_int(daemon_counter(&d, "withdrawn"), 0, "no request ended for want of a model");
	is_int(daemon_status(&d, "runner_starts"), 1, "all of it with one runner");
	is_int(daemon_stop(&d), 0, "braidd ends well");
	return tap_done();
}
