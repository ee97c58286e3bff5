# SPDX-License-Identifier: MIT
#
# From a program to a GPU plan; needs no toolkit and no driver. Sources of the
# kernels, and tables of tiles, go into the library as text.

libs += lower
lower-src := $(sort $(wildcard agent/lower/*.c)) gen/kernel_headers.c gen/tiles_text.c

kernel-headers := $(sort $(wildcard kernels/*.cuh kernels/*.h))

# As string literals, a line each.
literal := sed 's/\\/\\\\/g; s/"/\\"/g; s/^/"/; s/$$/\\n"/'

$(O)/gen/kernel_headers.c: $(kernel-headers) agent/lower/build.mk
	$(call say,GEN,$@)
	@mkdir -p $(@D)
	$(Q)( echo '#include "agent/cuda/plan.h"'; echo 'const struct gpu_header gpu_headers[] = {'; \
		for f in $(kernel-headers); do echo "{ \"$${f##*/}\","; \
			$(literal) "$$f"; echo '},'; done; \
		echo '};'; echo 'const unsigned int gpu_n_headers = $(words $(kernel-headers));' \
	) >$(aside) && mv -f $(aside) $@

$(O)/gen/tiles_text.c: kernels/tiles.txt agent/lower/build.mk
	$(call say,GEN,$@)
	@mkdir -p $(@D)
	$(Q)( echo 'extern const char gpu_tiles_text[];'; echo 'const char gpu_tiles_text[] ='; \
		$(literal) $<; echo ';' ) >$(aside) && mv -f $(aside) $@
