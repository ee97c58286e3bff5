# SPDX-License-Identifier: MIT
#
# From a program to a GPU plan; needs no toolkit and no driver. Sources of the
# kernels go into the library as text.

libs += lower
lower-src := $(sort $(wildcard agent/lower/*.c)) gen/kernel_headers.c

kernel-headers := $(sort $(wildcard kernels/*.cuh kernels/*.h))

# As string literals, a line each.
$(O)/gen/kernel_headers.c: $(kernel-headers) agent/lower/build.mk
	$(call say,GEN,$@)
	@mkdir -p $(@D)
	$(Q)( echo '#include "agent/cuda/plan.h"'; echo 'const struct gpu_header gpu_headers[] = {'; \
		for f in $(kernel-headers); do echo "{ \"$${f##*/}\","; \
			sed 's/\\/\\\\/g; s/"/\\"/g; s/^/"/; s/$$/\\n"/' "$$f"; echo '},'; done; \
		echo '};'; echo 'const unsigned int gpu_n_headers = $(words $(kernel-headers));' \
	) >$(aside) && mv -f $(aside) $@
