# SPDX-License-Identifier: MIT
#
# A folder that runs on any x86-64 Linux with glibc 2.36 or newer and an NVIDIA
# driver, with nothing installed: `make portable`.

portable := $(O)/portable
portable-bin := braidd braidctl braid-bench braid-zoo braid-run braid-kernels braid-tune \
	tests/test_cuda_models braid-switch $(if $(probes-missing),,braid-probe)
# What comes with glibc, whichever it is, comes from the machine.
portable-system := linux-vdso|ld-linux|libc\.so|libm\.so|libpthread|libdl|librt

.PHONY: portable
portable: $(addprefix $(O)/,$(portable-bin))
	$(call say,COPY,$(portable))
	$(Q)rm -rf $(portable) && mkdir -p $(portable)/bin $(portable)/lib
	$(Q)for f in $(portable-bin); do \
		strip -o $(portable)/bin/$$(basename $$f) $(O)/$$f || exit 1; done
	$(Q)ldd $(addprefix $(O)/,$(portable-bin)) | awk '$$2 == "=>" && $$3 ~ /^\// { print $$3 }' | \
		sort -u | grep -Ev '/($(portable-system))' | xargs -r cp -L -t $(portable)/lib
	$(Q)cp tools/portable/gpu tools/portable/probes.py tools/bench/summary.py $(portable)/
	$(Q)cp -r tools/bench/peers $(portable)/
