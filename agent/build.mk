# SPDX-License-Identifier: MIT
libs += agent
agent-src := agent/affinity.c agent/config.c agent/ini_lines.c agent/log.c agent/loop.c agent/models_dir.c \
	agent/runner/adapt.c agent/runner/explain.c agent/runner/link.c agent/runner/link_device.c agent/runner/link_socket.c \
	agent/runner/load.c agent/runner/outside.c agent/runner/plan.c \
	agent/runner/run_buf.c agent/runner/run_control.c agent/runner/run_model.c \
	agent/runner/runner.c agent/runner/watchdog.c agent/runner/window.c \
	agent/supervisor/agent_conn.c agent/supervisor/client.c agent/supervisor/control.c \
	agent/supervisor/closer.c agent/supervisor/control_show.c agent/supervisor/device.c agent/supervisor/knob.c \
	agent/supervisor/listen.c \
	agent/supervisor/mem.c agent/supervisor/memfd.c agent/supervisor/metrics.c agent/supervisor/metrics_address.c \
	agent/supervisor/metrics_text.c agent/supervisor/monitor.c \
	agent/supervisor/node.c agent/supervisor/notify.c \
	agent/supervisor/owner.c agent/supervisor/rings.c agent/supervisor/runner_proc.c agent/supervisor/server.c \
	agent/supervisor/tenant_cmd.c agent/supervisor/timens.c agent/supervisor/trace.c

metrics_text-cflags := -DBRAID_VERSION='"$(version)"'

# Metrics are left out of a build without the library.
have-microhttpd := $(shell echo '\#include <microhttpd.h>' | $(CC) -E - >/dev/null 2>&1 && echo y)
metrics-cflags := $(if $(have-microhttpd),-DBRAID_METRICS)
metrics_address-cflags := $(metrics-cflags)

progs += braidd
install-sbin += braidd
braidd-src := agent/main.c agent/check.c
braidd-libs := agent wire core cuda lower program cpu onnxpb
braidd-ldlibs := $(if $(have-microhttpd),-lmicrohttpd) -linih -ljansson -lsystemd -lprotobuf-c -lnettle -lm
