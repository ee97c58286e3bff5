# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# For tests that build for ThreadSanitizer: sourced, with $O and $dir. Leaves $cc and
# $flags, or ends the test where there is no such compiler or it can't run here.

cc=${CC:-cc}
flags="-std=gnu11 -O1 -g -D_GNU_SOURCE -I. -Iinclude -Iinclude/uapi -pthread -fsanitize=thread"

mkdir -p "$dir" || exit 1
# The flags are words on purpose.
# shellcheck disable=SC2086
if ! echo 'int main(void) { return 0; }' | $cc $flags -x c -o "$dir/probe" - 2>/dev/null ||
	! "$dir/probe" 2>/dev/null; then
	echo "1..0 # SKIP no ThreadSanitizer here"
	exit 0
fi
