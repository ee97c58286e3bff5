# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# What the tests of packages share; they source it from the top folder after
# tests/tap.sh. It makes a Debian root in $tmp/system/root, which goes when the
# script ends, and skips everything where that can't be. $wants: programs that are
# needed as well.

debs=${O:-build}/deb
# shellcheck disable=SC2154
root=$tmp/system/root

braidd=
leave() {
	[ -z "$braidd" ] || kill "$braidd" 2>/dev/null
	wait
	umount "$root/proc" "$root" "$tmp/system" 2>/dev/null
	rm -rf "$tmp"
}

why=
[ "$(id -u)" -eq 0 ] || why="only root can make a root"
for program in debootstrap ${wants:-}; do
	command -v "$program" >/dev/null || why="no $program here"
done
set -- "$debs"/braid_*.deb
[ -f "$1" ] || why="no packages in $debs: ./run deb makes them"
if [ -n "$why" ]; then
	echo "1..0 # SKIP $why"
	exit 0
fi
trap leave EXIT
trap 'exit 130' INT TERM
if ! tests/deb/rootfs "$tmp/system" 2>"$tmp/said"; then
	echo "1..0 # SKIP no Debian root: $(tail -n 1 "$tmp/said")"
	exit 0
fi
mount -t proc proc "$root/proc"
# The network as here, for what packages depend on.
cp -L /etc/resolv.conf "$root/etc/resolv.conf"
cp /etc/apt/apt.conf.d/*proxy* "$root/etc/apt/apt.conf.d/" 2>/dev/null
mkdir "$root/debs"
cp "$debs"/*.deb "$root/debs/"
rm -f "$root"/debs/*-dbgsym_*.deb

# exec_in_root COMMAND...: in there, with nothing of our environment, instead of
# this shell.
exec_in_root() {
	exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 HOME=/root \
		DEBIAN_FRONTEND=noninteractive chroot "$root" "$@"
}

in_root() {
	(exec_in_root "$@")
}

# What the packages depend on is there before they are.
depends() {
	in_root apt-get -q update
	for deb in "$root"/debs/*.deb; do
		dpkg-deb -f "$deb" Depends | tr ',' '\n' | grep -v 'libbraid' | tr '\n' ',' |
			sed 's/,*$//; s/^,*//'
		echo
	done | while read -r list; do
		[ -z "$list" ] || in_root apt-get -q satisfy -y --no-install-recommends "$list" ||
			return 1
	done
}
