# SPDX-License-Identifier: MIT
#
# A folder that runs on any x86-64 Linux with glibc 2.36 or newer and an NVIDIA
# driver, with nothing installed: `make portable`.

portable := $(O)/portable
portable-bin := braidd braidctl braid-bench braid-recover braid-zoo braid-run braid-kernels braid-tune \
	braid-demo braid-switch $(if $(probes-missing),,braid-probe)
portable-tests := test_cuda_models test_cuda_nodes test_poison test_kill
portable-all := $(addprefix $(O)/,$(portable-bin)) $(addprefix $(O)/tests/,$(portable-tests))
# What comes with glibc, whichever it is, comes from the machine.
portable-system := linux-vdso|ld-linux|libc\.so|libm\.so|libpthread|libdl|librt
onnx-testdata := /usr/share/libonnx-testdata/data
# Trained models, where tools/demo/fetch has put them.
demo-models := $(firstword $(wildcard $(XDG_CACHE_HOME)/braid/models $(O)/models))

.PHONY: portable
portable: $(portable-all)
	$(call say,COPY,$(portable))
	$(Q)rm -rf $(portable) && mkdir -p $(portable)/tests $(portable)/lib
	$(Q)for f in $(portable-bin); do strip -o $(portable)/$$f $(O)/$$f || exit 1; done
	$(Q)for f in $(portable-tests); do strip -o $(portable)/tests/$$f $(O)/tests/$$f || exit 1; done
	$(Q)ldd $(portable-all) | awk '$$2 == "=>" && $$3 ~ /^\// { print $$3 }' | \
		sort -u | grep -Ev '/($(portable-system))' | xargs -r cp -L -t $(portable)/lib
	$(Q)cp tools/portable/gpu tools/portable/gpu-peers.sh tools/portable/gpu-checks.sh \
		tools/portable/probes.py tools/bench/summary.py $(portable)/
	$(Q)cp -r tools/bench/peers $(portable)/
	$(Q)git rev-parse --short HEAD >$(portable)/commit 2>/dev/null || true
	$(Q)[ ! -d $(onnx-testdata) ] || cp -r $(onnx-testdata) $(portable)/onnx
	$(Q)mkdir $(portable)/demo && cp -r tools/demo/data $(portable)/demo/
	$(Q)[ ! -d "$(demo-models)" ] || cp -r "$(demo-models)" $(portable)/demo/models
