# SPDX-License-Identifier: MIT

tests += test_cuda_cache
test_cuda_cache-src := tests/cuda/test_cuda_cache.c
test_cuda_cache-libs := cuda
sanitize-tests += test_cuda_cache
