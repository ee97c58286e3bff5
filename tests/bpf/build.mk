# SPDX-License-Identifier: MIT
tests += test_ctxsw
test_ctxsw-src := tests/bpf/test_ctxsw.c
test_ctxsw-libs := ctxsw
test_ctxsw-ldlibs := -ljansson
sanitize-tests += test_ctxsw

ifeq ($(probes-missing),)
standin := $(O)/tests/standin-cuda/libcuda.so.1
extra += $(standin)
# Found by its name, which is the real library's.
$(standin): tests/bpf/standin_cuda.c
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -O1 -shared -fPIC -Wl,-soname,libcuda.so.1 \
		-o $(aside) $< && mv -f $(aside) $@

# Not a test: a process to be measured.
libs += cuda-script
cuda-script-src := tests/bpf/script.c
extra += $(O)/tests/cuda-script
$(O)/tests/cuda-script: tests/bpf/cuda_script.c $(O)/libcuda-script.a
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $(aside) $^ -ldl && mv -f $(aside) $@

tests += test_host_stall
test_host_stall-src := tests/bpf/test_host_stall.c
test_host_stall-libs := probes cuda-script
test_host_stall-ldlibs := -lbpf -lelf -ljansson -ldl
endif
