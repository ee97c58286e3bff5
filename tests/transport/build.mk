# SPDX-License-Identifier: MIT
#
# Tests of the socket transport with a braidd of their own.

transport-tests := $(sort $(basename $(notdir $(wildcard tests/transport/test_*.c))))
tests += $(transport-tests)
sanitize-tests += $(transport-tests)

# They start programs of this tree, so those have to be there as well.
define transport_test
$(1)-src := tests/transport/$(1).c $(addprefix tests/transport/,daemon.c fake.c raw.c storm.c)
$(1)-libs := braid agent core
$(1)-ldlibs := -linih -ljansson -lm
$$(O)/tests/$(1): $$(O)/braidd $$(O)/braid-zoo $$(O)/braidctl $$(O)/braid-bench
endef
$(foreach t,$(transport-tests),$(eval $(call transport_test,$(t))))
# It is the runner itself, with another backend.
test_window-libs += wire cuda lower program cpu onnxpb
test_window-ldlibs += -lsystemd -lprotobuf-c -lnettle
# The supervisor's own functions, which bring all of it.
test_owner-libs += wire cuda lower program cpu onnxpb
test_owner-ldlibs += $(if $(have-microhttpd),-lmicrohttpd) -lsystemd -lprotobuf-c -lnettle
test_slow_close-cflags := $(metrics-cflags)
