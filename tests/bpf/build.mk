# SPDX-License-Identifier: MIT
tests += test_ctxsw
test_ctxsw-src := tests/bpf/test_ctxsw.c
test_ctxsw-libs := ctxsw
test_ctxsw-ldlibs := -ljansson
sanitize-tests += test_ctxsw

ifeq ($(probes-missing),)
standin := $(O)/tests/standin-cuda/libcuda.so.1
standin-cet := $(O)/tests/standin-cet/libcuda.so.1
extra += $(standin) $(standin-cet)
# Found by its name, which is the real library's.
$(standin-cet): standin-flags := $(if $(findstring x86_64,$(shell $(CC) -dumpmachine)),-fcf-protection=full -O0)
$(standin) $(standin-cet): tests/bpf/standin_cuda.c
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -O1 $(standin-flags) -shared -fPIC -Wl,-soname,libcuda.so.1 \
		-o $(aside) $< && mv -f $(aside) $@

# Not a test: a process to be measured.
libs += cuda-script
cuda-script-src := tests/bpf/script.c
extra += $(O)/tests/cuda-script
$(O)/tests/cuda-script: tests/bpf/cuda_script.c $(O)/libcuda-script.a
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $(aside) $^ -ldl && mv -f $(aside) $@

tests += test_queue_latency
test_queue_latency-src := tests/bpf/test_queue_latency.c \
	$(addprefix tests/abi/,abi.c device.c netlink.c socket.c) \
	$(addprefix tests/transport/,daemon.c fake.c raw.c)
test_queue_latency-libs := probes ctxsw wire
test_queue_latency-ldlibs := -lbpf -lelf -ljansson
$(O)/tests/test_queue_latency: $(O)/braidd $(O)/braid-zoo

tests += test_nvgpu_ctxsw
test_nvgpu_ctxsw-src := tests/bpf/test_nvgpu_ctxsw.c
test_nvgpu_ctxsw-libs := probes ctxsw
test_nvgpu_ctxsw-ldlibs := -lbpf -lelf -ljansson

tests += test_drm_switch
test_drm_switch-src := tests/bpf/test_drm_switch.c
test_drm_switch-libs := probes ctxsw
test_drm_switch-ldlibs := -lbpf -lelf -ljansson

tests += test_host_stall
test_host_stall-src := tests/bpf/test_host_stall.c
test_host_stall-libs := probes ctxsw cuda-script
test_host_stall-ldlibs := -lbpf -lelf -ljansson -ldl
endif
