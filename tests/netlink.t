#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The netlink family is written down twice, for C and for YNL: names, numbers
# and limits must be the same. Where a kernel's source is at hand, the spec is
# also held against the schema that it must keep to.

cd "$(dirname "$0")/.." || exit 1
. tests/tap.sh
spec=Documentation/netlink/specs/braid.yaml

# The newest source there is: it may be named, installed, or fetched for kernels.
schema() {
	for at in "${LINUX_SOURCE:-/nonexistent}" /usr/src/linux-source-* \
		"${XDG_CACHE_HOME:-$HOME/.cache}"/braid/linux-source-*; do
		[ ! -f "$at/Documentation/netlink/genetlink.yaml" ] ||
			echo "$at/Documentation/netlink/genetlink.yaml"
	done | tail -n 1
}

if ! python3 -c 'import yaml' 2>/dev/null; then
	skip "the specification and the header agree" "no python3-yaml here"
	echo "1..$n"
	exit 0
fi

# Each enumerator and string constant of the header, as the compiler sees it.
sed -n 's/^\t\(BRAID_\(CMD\|A\)_[A-Z0-9_]*\).*/\1/p' include/uapi/linux/braid_netlink.h |
	sort -u >"$tmp/names"
for i in PRIORITY_LOW PRIORITY_NORMAL PRIORITY_HIGH PRIORITY_REALTIME DIGEST_BYTES WEIGHT_MAX \
	FAMILY_VERSION; do
	echo "BRAID_$i"
done >>"$tmp/names"
cat >"$tmp/show.c" <<END
#include <stdio.h>
#include <linux/braid.h>
#include <linux/braid_netlink.h>

#define SHOW(what) printf("%s %d\\n", #what, (int)what)

int main(void)
{
$(sed 's/.*/	SHOW(&);/' "$tmp/names")
	puts("BRAID_FAMILY_NAME " BRAID_FAMILY_NAME);
	puts("BRAID_MCGRP_EVENTS " BRAID_MCGRP_EVENTS);
	return 0;
}
END
# The compiler may be two words.
# shellcheck disable=SC2086
check "the header compiles by itself" ${CC:-cc} -Wall -Wextra -Werror -Iinclude/uapi \
	-o "$tmp/show" "$tmp/show.c"
"$tmp/show" | sort >"$tmp/header"

python3 - "$spec" >"$tmp/spec.raw" 2>"$tmp/err" <<'END'
import sys
import yaml


def name(*parts):
    return "_".join(parts).upper().replace("-", "_")


spec = yaml.safe_load(open(sys.argv[1]))
family = spec["name"]
print(name(family, "family_name"), family)
print(name(family, "family_version"), spec.get("version", 1))
for group in spec["mcast-groups"]["list"]:
    print(name(family, "mcgrp", group["name"]), group["name"])
for d in spec["definitions"]:
    if d["type"] == "const":
        print(name(family, d["name"]), d["value"])
        continue
    for value, entry in enumerate(d["entries"]):
        print(name(family, d["name"], entry), value)
for s in spec["attribute-sets"]:
    value = 0
    for a in s["attributes"]:
        value = a.get("value", value + 1)
        print(name(family, "a", s["name"], a["name"]), value)
    print(name(family, "a", s["name"], "max"), value)
value = 0
for op in spec["operations"]["list"]:
    value = op.get("value", value + 1)
    print(name(family, "cmd", op["name"]), value)
print(name(family, "cmd", "max"), value)
END
sort "$tmp/spec.raw" >"$tmp/spec"
test -s "$tmp/header" && test ! -s "$tmp/err" && diff "$tmp/header" "$tmp/spec" >"$tmp/out"
report "the specification and the header agree on names and numbers" $?

# What an operation lists must be in its set, events must be in a group, and
# what changes something must ask for the permission.
python3 - "$spec" >"$tmp/out" 2>&1 <<'END'
import sys
import yaml

spec = yaml.safe_load(open(sys.argv[1]))
sets = {s["name"]: s for s in spec["attribute-sets"]}
names = {s: {a["name"] for a in sets[s]["attributes"]} for s in sets}
bad = []
for s in sets.values():
    if any(a["type"] == "u64" for a in s["attributes"]) and "pad" not in names[s["name"]]:
        bad.append(f"{s['name']}: u64 without a pad")
    for a in s["attributes"]:
        if a["type"] == "nest" and a["nested-attributes"] not in sets:
            bad.append(f"{s['name']}: {a['name']}: unknown set")
for op in spec["operations"]["list"]:
    lists = []
    for way in ("do", "dump"):
        for side in ("request", "reply"):
            lists.append(op.get(way, {}).get(side, {}).get("attributes", []))
    lists.append(op.get("event", {}).get("attributes", []))
    for a in sum(lists, []):
        if a not in names[op["attribute-set"]]:
            bad.append(f"{op['name']}: {a} is not in {op['attribute-set']}")
    if op["name"].endswith("-ntf") != ("event" in op) or ("event" in op) != ("mcgrp" in op):
        bad.append(f"{op['name']}: an event has a group")
    if op["name"].endswith("-set") and "admin-perm" not in op.get("flags", []):
        bad.append(f"{op['name']}: everybody may")
print("\n".join(bad), end="")
sys.exit(bool(bad))
END
report "each operation uses what there is" $?

schema=$(schema)
if [ -z "$schema" ]; then
	skip "the specification keeps to the kernel's schema" "no kernel source here"
elif ! python3 -c 'import jsonschema' 2>/dev/null; then
	skip "the specification keeps to the kernel's schema" "no python3-jsonschema here"
else
	python3 - "$schema" "$spec" >"$tmp/out" 2>&1 <<'END'
import sys
import jsonschema
import yaml

schema, spec = (yaml.safe_load(open(f)) for f in sys.argv[1:])
jsonschema.validate(spec, schema)
END
	report "the specification keeps to the kernel's schema" $?
fi

echo "1..$n"
