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
	$(Q)awk 'BEGIN { print "#include \"agent/cuda/plan.h\"\nconst struct gpu_header gpu_headers[] = {" } \
		FNR == 1 { if (n++) print "},"; f = FILENAME; sub(/.*\//, "", f); printf "{ \"%s\",\n", f } \
		{ gsub(/\\/, "\\\\"); gsub(/"/, "\\\""); printf "\"%s\\n\"\n", $$0 } \
		END { printf "},\n};\nconst unsigned int gpu_n_headers = %d;\n", n }' \
		$(kernel-headers) >$(aside) && mv -f $(aside) $@
