/* SPDX-License-Identifier: MIT */
/*
 * The configuration file (INI, read with inih) and the model directory.
 *
 * Read by the supervisor and, again, by the runner, each for itself. A file
 * with an unknown section, an unknown key or a value out of range is refused
 * whole, with file and line.
 */
#ifndef BRAID_AGENT_CONFIG_H
#define BRAID_AGENT_CONFIG_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/program/load.h"

#define CONFIG_KNOBS	16

/* A queue knob that the file sets; by name, see queue knobs in operating.md. */
struct config_knob {
	char name[32];
	char value[32];
};

enum config_transport {
	TRANSPORT_AUTO,			/* the device when it is there */
	TRANSPORT_DEVICE,
	TRANSPORT_SOCKET,
};

/* How a request that is the end of its runner is the end of it. */
enum config_kill { KILL_RUNNER, KILL_BY_HANG, KILL_BY_GPU_FAULT, KILL_BY_GPU_HANG };

/* Does the runner poll a GPU that works for it? AUTO: with CPUs enough. */
enum config_spin { SPIN_AUTO, SPIN_ON, SPIN_OFF };

#define SPIN_CPUS	4	/* with fewer, a thread that polls takes others' */
#define CONFIG_SMS	65536u	/* multiprocessors, at most */

struct config {
	enum config_transport transport;
	char device[32];		/* "braid0" */
	char socket[108];
	char control[108];
	char metrics[108];		/* ADDRESS:PORT or a path, "": none */
	char group[64];			/* "": no chown */
	char model_dir[PATH_MAX];
	char backend[16];
	unsigned int threads;		/* 0: one a core */
	unsigned int lanes;		/* 0: the backend's default */
	unsigned int max_degree;
	unsigned int watchdog_ms;	/* longest launch, 0: no limit */
	unsigned int drain_ms;		/* SIGTERM: longest wait */
	int cpu;			/* of the service threads: affinity.h */
	unsigned int spin_us;		/* longest look before they sleep: lib/spin.h */
	unsigned int max_tenants;
	uint64_t byte_quota;		/* by owner, unless set by hand */
	unsigned int request_quota;
	int log_level;			/* syslog's: 3 error to 7 debug */
	struct config_knob knobs[CONFIG_KNOBS];
	unsigned int n_knobs;
	unsigned int buffer_quota;	/* buffers an owner may hold */
	char runner[PATH_MAX];		/* [debug]: what to run as the runner, "": itself */
	char kill_model[BRAID_NAME_MAX];	/* fault injection, see [debug] */
	float kill_value;
	enum config_kill kill_how;
	unsigned int gpu;		/* which one */
	unsigned int sms;		/* multiprocessors of it, 0: all */
	bool sms_given;			/* on the command line: so the runner is told */
	unsigned int precision;		/* of models that do not say: 16, 32; 0: as suits them */
	enum config_spin spin;
	bool compile;			/* kernels, while running */
	char cache_dir[PATH_MAX];	/* "": none */
	unsigned int cache_mib;
	bool witness;			/* [probes]: see backend_config */
	char switches[PATH_MAX];	/* what braid-switch writes, "": nothing */
	char host_stall[PATH_MAX];	/* what braid-probe writes */
};

/**
 * config_defaults() - what holds without a file
 */
void config_defaults(struct config *c);

/** config_polls() - does its runner poll a GPU, on this machine? */
bool config_polls(const struct config *c);

/**
 * config_read() - read a file over the defaults
 * @c: filled in
 * @path: the file
 * @why: words on failure, with file and line
 * @len: size of @why
 *
 * Return: 0, -ENOENT, -EACCES, -EINVAL.
 */
int config_read(struct config *c, const char *path, char *why, size_t len);

/** config_sms() - [runner] sms as the command line has it; -EINVAL: not from 0 to CONFIG_SMS */
int config_sms(struct config *c, const char *value);

#define PRECISION_AUTO	1	/* as suits the model, whatever the configuration says */

/**
 * struct model_config - a model of the model directory
 * @name: what tenants ask for
 * @path: ONNX file
 * @why: "", else why it is not to be served: its .ini is wrong
 * @max_degree: 0: the configuration's
 * @precision: 0: the configuration's, else 16, 32 or PRECISION_AUTO
 * @load: binding; points into this structure's own memory
 */
struct model_config {
	char name[BRAID_NAME_MAX];
	char path[PATH_MAX];
	char why[NAME_MAX + 256];
	unsigned int max_degree;
	unsigned int precision;
	struct load_config load;
	struct load_shape shapes[16];
	struct load_const consts[16];
	char names[32][BRAID_TENSOR_NAME_MAX];
	char kinds[32];			/* 's' or 'c': what names[i] is an input of */
	unsigned int n_names;
};

/**
 * models_scan() - what the model directory holds
 * @dir: the directory
 * @out: array, one allocation, free() it; sorted by name
 * @n: how many
 * @bad: called for each file whose name no model can have, with words; may be NULL
 *
 * Every NAME.ini names a model: section [model], keys file (default
 * NAME.onnx), shape.INPUT = 1x3x224x224, const.INPUT = 16000, batch,
 * max_degree, precision. Every NAME.onnx without a NAME.ini is a model of its own, even
 * if others are bindings of the same file. A NAME whose .ini is wrong is in
 * the list, with the reason.
 *
 * Return: 0, or a negative errno from reading the directory.
 */
int models_scan(const char *dir, struct model_config **out, unsigned int *n,
		void (*bad)(const char *path, const char *why));

#endif
