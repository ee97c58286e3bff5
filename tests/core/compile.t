#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What only a compiler can tell: the interface has the same layout for 64-bit
# and 32-bit callers and no hidden padding; core/ needs nothing but what the
# kernel offers, keeps its stack small, and uses no floats and no 64-bit
# division of the compiler's.

cd "$(dirname "$0")/../.." || exit 1

. tests/tap.sh

layout="-std=gnu11 -ffreestanding -Wall -Wpadded -Werror -Iinclude/uapi -c -o $tmp/layout.o tests/core/layout.c"
bare="-std=gnu11 -ffreestanding -fno-pic -nostdinc -D__KERNEL__ -Itests/core/bare -I. -Iinclude/uapi
	-O2 -Wall -Wextra -Werror -Wmissing-prototypes -Wvla -Wno-sign-compare
	-Wno-unused-parameter -Wframe-larger-than=256"
# The kernel's own uapi headers, which Debian keeps by architecture.
multi=$(cc -print-multiarch 2>/dev/null)

# Undefined symbols of the objects that the shim does not name.
foreign() {
	nm -u "$tmp"/*.bare | awk '/ U / { print $2 }' | sort -u |
		grep -vxE 'bq_[a-z0-9_]*|memset|memcpy|div64_u64' >"$tmp/foreign"
	cat "$tmp/foreign"
}

# compile_bare COMPILER FLAG: all of core/ without any libc.
compile_bare() {
	for f in core/*.c; do
		# Flags are words on purpose.
		# shellcheck disable=SC2086
		"$1" $bare $2 -c -o "$tmp/$(basename "$f").bare" "$f" || return 1
	done
}

for cc in gcc clang; do
	if ! command -v $cc >/dev/null; then
		skip "$cc" "no $cc here"
		continue
	fi
	# shellcheck disable=SC2086
	check "$cc: layout for 64 bits" silent $cc -m64 $layout
	if echo 'int x;' | $cc -m32 -ffreestanding -c -x c -o "$tmp/probe.o" - 2>/dev/null; then
		# shellcheck disable=SC2086
		check "$cc: layout for 32 bits" silent $cc -m32 -I"/usr/include/$multi" $layout
	else
		skip "$cc: layout for 32 bits" "$cc can't compile for 32 bits"
	fi
	check "$cc: core/ compiles against the kernel's headers alone" \
		silent compile_bare $cc "-mno-sse -mno-mmx -mno-80387"
	check "$cc: core/ links to memset, memcpy and div64_u64 alone" silent foreign
	if echo 'int x;' | $cc -m32 -ffreestanding -c -x c -o "$tmp/probe.o" - 2>/dev/null; then
		check "$cc: core/ for 32 bits" silent compile_bare $cc "-m32 -mno-sse -mno-mmx -mno-80387"
		check "$cc: no 64-bit division of the compiler's on 32 bits" silent foreign
	fi
done

# The asserts can fail: one wrong number must be noticed.
sed 's/^AT(braid_job, flags, [0-9]*)/AT(braid_job, flags, 4)/' tests/core/layout.c >"$tmp/wrong.c"
wrong() {
	! cc -std=gnu11 -ffreestanding -Iinclude/uapi -c -o "$tmp/w.o" "$tmp/wrong.c" 2>/dev/null
}
check "a wrong offset is noticed" wrong
echo "1..$n"
