# SPDX-License-Identifier: MIT
#
# BPF programs are compiled by clang, whatever $(CC) is, and each becomes a
# header with the object in it (bpftool's skeleton). Nothing is generated from
# the running kernel. Without clang, bpftool, libbpf, libelf or jansson the
# probes are left out, with one line that says so; all else builds.
#
#   bpf-objs += foo    bpf/foo.bpf.c -> $(O)/gen/foo.skel.h

BPF_CLANG ?= clang
BPFTOOL ?= $(firstword $(shell PATH="$$PATH:/usr/sbin:/sbin"; command -v bpftool) bpftool)
have_tool = $(if $(shell command -v $(1) 2>/dev/null),,$(1))
# As the compiler sees it, which may build for another machine. Makes differ in
# what a backslash before a number sign is.
hash := \#
have_header = $(if $(shell echo '$(hash)include <$(2)>' | $(CC) -E - >/dev/null 2>&1 && echo y),,$(1))
probes-missing := $(strip $(call have_tool,$(BPF_CLANG)) $(call have_tool,$(BPFTOOL)) \
	$(call have_header,libbpf,bpf/libbpf.h) $(call have_header,libelf,gelf.h))

ifneq ($(probes-missing),)
$(if $(MAKELEVEL:0=)$(filter clean,$(MAKECMDGOALS)),,$(info probes are left out, missing: $(probes-missing)))
else

bpf-objs := drm_switch host_stall nvgpu_ctxsw queue_latency
libs += probes
probes-src := bpf/attach.c bpf/drm_switch.c bpf/host_stall.c bpf/library.c bpf/nvgpu_ctxsw.c bpf/probe.c \
	bpf/queue_latency.c bpf/tracefs.c
probes-ldlibs := -lbpf -lelf -ljansson

bpf-arch := $(patsubst aarch64,arm64,$(patsubst x86_64,x86,$(firstword $(subst -, ,$(shell $(CC) -dumpmachine)))))
# clang's target has no folders of its own for asm/.
bpf-flags := -target bpf -mcpu=v3 -O2 -g -Wall -Wextra -Werror -Wno-unused-parameter \
	-Wno-sign-compare -D__TARGET_ARCH_$(bpf-arch) -I. \
	-idirafter $(filter-out /,$(shell $(CC) -print-sysroot 2>/dev/null))/usr/include/$(shell $(CC) -print-multiarch 2>/dev/null)
gen += $(patsubst %,$(O)/gen/%.skel.h,$(bpf-objs))

$(O)/gen/%.bpf.o: bpf/%.bpf.c bpf/build.mk
	$(call say,BPF,$<)
	@mkdir -p $(@D)
	$(Q)$(BPF_CLANG) $(bpf-flags) -MMD -MP -MF $(@:.o=.d) -MT $@ -c -o $(aside) $< && \
		mv -f $(aside) $@

$(O)/gen/%.skel.h: $(O)/gen/%.bpf.o
	$(call say,SKEL,$<)
	$(Q)$(BPFTOOL) gen skeleton $< name $*_bpf >$(aside) && mv -f $(aside) $@

# They are wanted, if only to look at with bpftool.
.SECONDARY: $(foreach x,$(bpf-objs),$(O)/gen/$(x).bpf.o $(O)/gen/$(x).skel.h)

-include $(patsubst %,$(O)/gen/%.bpf.d,$(bpf-objs))
endif
