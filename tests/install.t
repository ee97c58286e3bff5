#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What `make install` leaves: a program of somebody else can be built against
# it, the shared library exports what its map names and nothing else, and every
# function has a manual page. Installs into a folder of its own.

cd "$(dirname "$0")/.." || exit 1
. tests/tap.sh
root=$tmp/root

# A make above this one has its own jobs and targets.
MAKEFLAGS='' make -s install O="${O:-build}" DESTDIR="$root" PREFIX=/usr >"$tmp/out" 2>&1
report "make install succeeds" $?

for f in sbin/braidd bin/braidctl bin/braid-tune bin/braid-recover \
	lib/libbraid.so.0 lib/libbraid.so lib/libbraid.a \
	include/braid.h include/linux/braid.h lib/pkgconfig/libbraid.pc \
	include/linux/braid_netlink.h lib/udev/rules.d/60-braid.rules lib/sysusers.d/braid.conf \
	share/bash-completion/completions/braidctl \
	lib/systemd/system/braidd.service share/man/man3/libbraid.3 \
	share/doc/braid/operating.md share/doc/braid/bench.md; do
	[ -s "$root/usr/$f" ] || echo "usr/$f is missing"
done >"$tmp/out"
test ! -s "$tmp/out"
report "the parts are where they belong" $?

for p in sbin/braidd bin/braidctl bin/braid-bench; do
	said=$("$root/usr/$p" --version) && [ "$said" = "${p#*/} $(sed -n 's/^version := //p' Makefile)" ] ||
		echo "usr/$p --version says '$said'"
done >"$tmp/out"
test ! -s "$tmp/out"
report "programs tell their version" $?

grep -q '^; /usr/share/doc/braid/operating.md ' "$root/etc/braid/braidd.conf" &&
	grep -q 'file:/usr/share/doc/braid/operating.md$' \
		"$root/usr/lib/systemd/system/braidd.service" >"$tmp/out" 2>&1
report "the configuration and the service name a text that is installed" $?

MAKEFLAGS='' make -s install-dkms O="${O:-build}" DESTDIR="$root" PREFIX=/usr >"$tmp/out" 2>&1
(
	cd "$root"/usr/src/braid-*/ || exit 1
	grep -qx "PACKAGE_VERSION=\"${PWD##*-}\"" dkms.conf || echo "another version in dkms.conf" >&2
	# All that Kbuild names, and all that is included of ours.
	grep -o '[a-z_/]*\.o' Kbuild | grep / | sed 's/o$/c/' | xargs ls
	grep -rho '^#include "[^"]*"' kmod core | sed 's/.*"\(.*\)"/\1/' | sort -u | xargs ls
) >"$tmp/sources" 2>"$tmp/out"
grep -q kmod/netlink.c "$tmp/sources" && grep -q core/queue.h "$tmp/sources" && test ! -s "$tmp/out"
report "the module's source for DKMS is complete" $?

# What a text links to lies beside it.
for text in "$root"/usr/share/doc/braid/*.md; do
	grep -o '\](\([^)#]*\)' "$text" | sed 's/^](//' | grep -v '^$\|^http' | sort -u |
		while read -r to; do
			[ -e "${text%/*}/$to" ] || echo "${text##*/}: no $to"
		done
done >"$tmp/out"
test -s "$root/usr/share/doc/braid/README.md" && test ! -s "$tmp/out"
report "the links of the texts lead somewhere" $?

# completes WORDS...: what bash offers for the last of them.
cat >"$tmp/complete" <<'EOF'
. "$1"
shift
compopt() { :; }
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_braidctl
echo "${COMPREPLY[@]}"
EOF
completes() {
	bash "$tmp/complete" "$root/usr/share/bash-completion/completions/braidctl" \
		"${O:-build}/braidctl" "$@"
}
if command -v bash >/dev/null; then
	{
		completes mon
		completes --socket /nonexistent policy ''
		completes owner 5 we
		completes policy set fusion_policy merge
	} >"$tmp/out" 2>&1
	printf '%s\n' monitor 'get set' weight= 'merge merge+fuse' | diff - "$tmp/out" >"$tmp/said"
	report "bash completes braidctl" $?
	"${O:-build}/braidctl" --help | sed -n 's/^  \([a-z][a-z]*\) .*/\1/p' | sort >"$tmp/commands"
	completes '' | tr ' ' '\n' | sort | diff "$tmp/commands" - >"$tmp/said"
	report "all of its commands" $?
	rm -f "$tmp/said"
else
	skip "bash completes braidctl" "no bash here"
	skip "all of its commands" "no bash here"
fi

echo 'drain_ms = 1' >>"$root/etc/braid/braidd.conf"
MAKEFLAGS='' make -s install O="${O:-build}" DESTDIR="$root" PREFIX=/usr >"$tmp/out" 2>&1 &&
	grep -q '^drain_ms = 1' "$root/etc/braid/braidd.conf"
report "installing again keeps the configuration" $?

cat >"$tmp/tenant.c" <<'EOF'
#include <braid.h>
#include <stdio.h>

int main(void)
{
	struct braid *b;
	int ret = braid_open("/nonexistent/braid.sock", &b);

	printf("%s\n", braid_error());
	return ret < 0 ? 0 : 1;
}
EOF
export PKG_CONFIG_SYSROOT_DIR="$root" PKG_CONFIG_PATH="$root/usr/lib/pkgconfig"
export PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 PKG_CONFIG_ALLOW_SYSTEM_LIBS=1
if [ "${SANITIZE:-0}" = 1 ]; then
	skip "a tenant builds with pkg-config and runs" "the library needs its sanitizer's runtime"
else
	# Compiler and flags are words on purpose.
	# shellcheck disable=SC2046,SC2086
	${CC:-cc} -Wall -Wextra -Werror -o "$tmp/tenant" "$tmp/tenant.c" \
		$(pkg-config --cflags --libs libbraid) >"$tmp/out" 2>&1 &&
		LD_LIBRARY_PATH="$root/usr/lib" "$tmp/tenant" >"$tmp/out" 2>&1 &&
		grep -q 'nonexistent.*is braidd running' "$tmp/out"
	report "a tenant builds with pkg-config and runs" $?
fi

# The example of the manual page, as a reader would take it.
sed -n '/^\.Sh EXAMPLES/,/^\.Ed/p' "$root/usr/share/man/man3/libbraid.3" |
	sed -e '1,/^\.Bd/d' -e '/^\.Ed/d' -e 's/^\\&//' -e 's/\\e/\\/g' >"$tmp/example.c"
if [ "${SANITIZE:-0}" = 1 ]; then
	skip "the example of libbraid(3) builds" "the library needs its sanitizer's runtime"
else
	# shellcheck disable=SC2046,SC2086
	grep -q braid_infer "$tmp/example.c" &&
		${CC:-cc} -Wall -Wextra -Werror -o "$tmp/example" "$tmp/example.c" \
			$(pkg-config --cflags --libs libbraid) >"$tmp/out" 2>&1
	report "the example of libbraid(3) builds" $?
fi

sed -n 's/^\t\(braid_[a-z_]*\);$/\1/p' lib/libbraid.map | sort >"$tmp/map"
nm -D --defined-only "$root/usr/lib/libbraid.so.0" |
	awk '$2 == "T" { sub(/@.*/, "", $3); print $3 }' | sort >"$tmp/exported"
test -s "$tmp/map" && diff "$tmp/map" "$tmp/exported" >"$tmp/out"
report "exported is what the map names" $?

while read -r name; do
	page=$root/usr/share/man/man3/$name.3
	for part in ".Nm $name" '.Sh SYNOPSIS' ".Fo $name" '.Sh DESCRIPTION'; do
		grep -qxF "$part" "$page" || echo "$name.3: no $part"
	done
done <"$tmp/map" >"$tmp/out" 2>&1
test ! -s "$tmp/out"
report "every exported function has a manual page" $?

while read -r name; do
	grep -q "[ *]$name(" include/braid.h || echo "$name is not in braid.h"
done <"$tmp/map" >"$tmp/out" 2>&1
test ! -s "$tmp/out"
report "every exported function is in the header" $?

# What a program says of its options, its page says too.
for page in "$root"/usr/share/man/man1/*.1 "$root"/usr/share/man/man8/*.8; do
	prog=$(basename "$page" | sed 's/\.[18]$//')
	"${O:-build}/$prog" --help 2>&1 | grep -o -- ' --[a-z0-9-]*' | sort -u | sed 's/^ --//' |
		while read -r option; do
			grep -q -- "Fl -$option\( \|$\)" "$page" || echo "$page: no --$option"
		done
done >"$tmp/out"
grep -o 'strcmp(name, "[a-z_]*")' agent/config.c | cut -d'"' -f2 | while read -r key; do
	grep -q "^\.It Ic .*\b$key\b" "$root/usr/share/man/man8/braidd.8" ||
		echo "braidd.8: no key $key"
done >>"$tmp/out"
test -s "$root/usr/share/man/man1/braidctl.1" && test ! -s "$tmp/out"
report "the programs' pages have their options and keys" $?

if command -v mandoc >/dev/null; then
	mandoc -T lint -W warning "$root"/usr/share/man/man[138]/*.[138] >"$tmp/out" 2>&1
	report "the pages are well formed" $?
else
	skip "the pages are well formed" "no mandoc here"
fi

echo "1..$n"
