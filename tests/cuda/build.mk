# SPDX-License-Identifier: MIT
#
# Plans and kernels without a GPU: the lowering, the kernels as the host's
# compiler has them, and the engine that runs them.

libs += emu
emu-src := $(addprefix tests/cuda/,emu.c emu_entries.c emu_plan.c gpu_check.c)

emu-libs-all := emu emukernels emuexact lower program cpu onnxpb

tests += test_gpu_models
test_gpu_models-src := tests/cuda/test_gpu_models.c tests/cuda/zoo_program.c tests/onnx/case.c
test_gpu_models-libs := $(emu-libs-all) zoo
test_gpu_models-ldlibs := -lprotobuf-c -lnettle -lm

tests += test_gpu_nodes
test_gpu_nodes-src := tests/cuda/test_gpu_nodes.c tests/cuda/nodes.c tests/onnx/case.c tests/onnx/families.c
test_gpu_nodes-libs := $(emu-libs-all)
test_gpu_nodes-ldlibs := -lprotobuf-c -lnettle -lm

tests += test_gpu_conv
test_gpu_conv-src := tests/cuda/test_gpu_conv.c tests/program/graph.c
test_gpu_conv-libs := $(emu-libs-all)
test_gpu_conv-ldlibs := -lprotobuf-c -lnettle -lm

tests += test_gpu_tiles
test_gpu_tiles-src := tests/cuda/test_gpu_tiles.c
test_gpu_tiles-libs := cuda lower program
test_gpu_tiles-ldlibs := -lnettle
sanitize-tests += test_gpu_tiles

tests += test_gpu_halves
test_gpu_halves-src := tests/cuda/test_gpu_halves.c tests/cuda/zoo_program.c
test_gpu_halves-libs := $(emu-libs-all) zoo draw
test_gpu_halves-ldlibs := -lprotobuf-c -lnettle -lm

tests += test_gpu_wide
test_gpu_wide-src := tests/cuda/test_gpu_wide.c tests/cuda/zoo_program.c tests/program/graph.c
test_gpu_wide-libs := $(emu-libs-all) zoo
test_gpu_wide-ldlibs := -lprotobuf-c -lnettle -lm

tests += test_gpu_trained
test_gpu_trained-src := tests/cuda/test_gpu_trained.c $(addprefix tools/demo/,chain.c dict.c \
	golden.c image.c image_read.c models.c ocr_det.c ocr_line.c replay.c scene.c vad.c)
test_gpu_trained-libs := $(emu-libs-all)
test_gpu_trained-ldlibs := -lprotobuf-c -lnettle -lpng -ljpeg -lz -lm

# Needs nvcc; without it, it says so.
tests += test_hot_tiles
test_hot_tiles-src := tests/cuda/test_hot_tiles.c tests/cuda/zoo_program.c
test_hot_tiles-libs := lower zoo program cpu onnxpb
test_hot_tiles-ldlibs := -lprotobuf-c -lnettle -lm

tests += test_cuda_cache
test_cuda_cache-src := tests/cuda/test_cuda_cache.c
test_cuda_cache-libs := cuda
sanitize-tests += test_cuda_cache

# A driver and a compiler for machines without a GPU: the runner finds them
# with LD_LIBRARY_PATH, as it would find NVIDIA's.
libs += standin_cuda standin_nvrtc
standin_cuda-src := $(addprefix tests/cuda/standin/,driver.c graph.c image.c memory.c stream.c) \
	tests/cuda/emu.c
standin_nvrtc-src := tests/cuda/standin/standin_nvrtc.c
standin_nvrtc-cflags := -DSTANDIN_TOP='"$(CURDIR)"'

standin := $(addprefix $(O)/standin/,libcuda.so.1 libnvrtc.so.13 generic.so)
extra += $(standin)
shared = $(Q)$(CC) $(ALL_LDFLAGS) -shared -o $(aside) -Wl,--whole-archive $< -Wl,--no-whole-archive \
	-lm && mv -f $(aside) $@

$(O)/standin/libcuda.so.1: $(O)/libstandin_cuda.a
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(shared)
$(O)/standin/libnvrtc.so.13: $(O)/libstandin_nvrtc.a
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(shared)
# In place of the ahead-of-time build for GPUs.
$(O)/standin/generic.so: $(O)/libemukernels.a
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(shared)

tests += test_cuda_backend
test_cuda_backend-src := tests/cuda/test_cuda_backend.c tests/cuda/fake_plan.c
test_cuda_backend-libs := cuda program
test_cuda_backend-ldlibs := -lnettle -ljansson
$(O)/tests/test_cuda_backend: $(standin)

tests += test_witness
test_witness-src := tests/cuda/test_witness.c
test_witness-libs := cuda
test_witness-ldlibs := -ljansson

tests += test_cuda_models
test_cuda_models-src := tests/cuda/test_cuda_models.c tests/cuda/spoil.c
test_cuda_models-libs := draw zoo cuda lower program cpu onnxpb
test_cuda_models-ldlibs := -lprotobuf-c -lnettle -ljansson -lm
$(O)/tests/test_cuda_models: $(standin)

tests += test_gpu_blocks
test_gpu_blocks-src := tests/cuda/test_gpu_blocks.c tests/program/graph.c
test_gpu_blocks-libs := $(emu-libs-all)
test_gpu_blocks-ldlibs := -lprotobuf-c -lnettle -lm

# Needs a GPU; on one without, it says so.
tests += test_cuda_nodes
test_cuda_nodes-src := tests/cuda/test_cuda_nodes.c tests/cuda/nodes.c tests/onnx/case.c \
	tests/onnx/families.c
test_cuda_nodes-libs := cuda lower program cpu onnxpb
test_cuda_nodes-ldlibs := -lprotobuf-c -lnettle -ljansson -lm

tests += test_cuda_bad_ends
test_cuda_bad_ends-src := tests/cuda/test_cuda_bad_ends.c $(addprefix tests/transport/,daemon.c storm.c)
test_cuda_bad_ends-libs := braid
test_cuda_bad_ends-ldlibs := -ljansson -lm
$(O)/tests/test_cuda_bad_ends: $(standin) $(O)/braidd $(O)/braid-zoo

tests += test_images
test_images-src := tests/cuda/test_images.c tests/cuda/zoo_program.c
test_images-libs := cuda lower zoo program cpu onnxpb
test_images-ldlibs := -lprotobuf-c -lnettle -lm -ljansson
sanitize-tests += test_images

tests += test_loading
test_loading-src := tests/cuda/test_loading.c agent/runner/load.c
test_loading-libs := cuda lower program cpu onnxpb
test_loading-ldlibs := -lprotobuf-c -lnettle -ljansson -lm
$(O)/tests/test_loading: $(standin) $(O)/braid-zoo
