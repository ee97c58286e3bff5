# SPDX-License-Identifier: MIT
#
# What tenants, and a queue that is not one, can send: as messages in memory.
fuzzers += fuzz_wire
fuzz_wire-src := tests/fuzz/fuzz_wire.c
fuzz_wire-libs := wire

fuzzers += fuzz_tenant
fuzz_tenant-src := tests/fuzz/fuzz_tenant.c $(addprefix agent/supervisor/, \
	memfd.c node.c owner.c tenant_cmd.c trace.c)
fuzz_tenant-libs := wire core
