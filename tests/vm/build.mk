# SPDX-License-Identifier: MIT
#
# Test programs for the machines of tests/vm/. They need the device, so they are
# built here and run in there.

vm-tests := crowd failnth faults fuzz_ioctl isolation netlink owners pin storm
vm-tests-src := tests/vm/dev.c tests/vm/agent.c tests/vm/books.c

define vm_test
progs += vm/$(1)
vm/$(1)-src += tests/vm/$(1).c $(vm-tests-src)
endef
vm/fuzz_ioctl-src += tests/vm/fuzz_calls.c
vm/netlink-src += tests/vm/nl.c
$(foreach t,$(vm-tests),$(eval $(call vm_test,$(t))))

# On the library and the runner's own link.
progs += vm/cost
vm/cost-src := tests/vm/cost.c
vm/cost-libs := braid agent
vm/cost-ldlibs := -linih -ljansson
