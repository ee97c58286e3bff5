# SPDX-License-Identifier: MIT
#
# Turns what the tests of a machine said (standard input) and the kernel's log
# into one TAP report. Variables: name, status (QEMU's), limit (seconds), want
# (a complaint of the kernel that must be there), dies (whether the machine must
# die of that), kernel_log, qemu_log.

function report(good, text)
{
	printf "%sok %d - %s: %s\n", good ? "" : "not ", ++checks, name, text
	if (!good)
		failed++
}

function end_test(rc)
{
	if (plan == "skip")
		return
	report(plan == seen && rc == 0, test ": ran to its end")
	if (plan == "")
		print "# it printed no plan"
	else if (plan != seen)
		print "# planned " plan " checks, made " seen
	if (rc != 0)
		print "# it ended with status " rc
}

# Is this line of the kernel's log a complaint? Data races are the module's when
# it is in one of the two stacks; the kernel has some of its own.
function complaint(at,    line, i)
{
	line = log_lines[at]
	if (line ~ /BUG: KCSAN:/) {
		for (i = at; i <= n_log && i < at + 80 && log_lines[i] !~ /====================/; i++)
			if (log_lines[i] ~ /\[braid\]/)
				return 1
		return 0
	}
	return line ~ /BUG:|WARNING:|KASAN:|UBSAN:|ODEBUG:|Oops|Kernel panic|DEBUG_LOCKS_WARN_ON/ ||
	       line ~ /general protection fault|detected stall|self-detected stall|soft lockup/ ||
	       line ~ /possible (recursive|circular)|inconsistent lock state|suspicious RCU usage/ ||
	       line ~ /sleeping function called|scheduling while atomic|refcount_t:|blocked for more than/ ||
	       line ~ /list_(add|del) corruption|kmem_cache_destroy|new suspected memory leaks|bad unlock balance/ ||
	       line ~ /held lock freed|still held|Bad page|nobody cared|Unknown symbol|disagrees about version/ ||
	       line ~ /workqueue lockup|Out of memory|tainting kernel with TAINT_BAD/
}

BEGIN {
	while ((getline line <kernel_log) > 0) {
		sub(/\r$/, "", line)
		log_lines[++n_log] = line
	}
}

/^vm-boot / { booted = 1; print "# " name ": Linux " $2 " " $3; next }
/^vm-module / { report($3 == 0, $2 " loads"); next }
/^vm-unload / { report($3 == 0, $2 " unloads"); next }
/^vm-leaks/ { leaks = 1; print "# kmemleak:"; next }
/^vm-start / { test = $2; plan = ""; seen = 0; running = 1; next }
/^vm-end / { end_test($3); running = 0; next }
/^vm-done/ { done = 1; next }
/^1\.\.0/ {
	plan = "skip"
	printf "ok %d - %s: %s # SKIP %s\n", ++checks, name, test, substr($0, index($0, "SKIP") + 5)
	next
}
/^1\.\.[0-9]+/ { plan = substr($1, 4) + 0; next }
/^(not )?ok / {
	seen++
	good = $1 == "ok"
	sub(/^(not )?ok [0-9]*( - )?/, "")
	report(good, test ": " $0)
	next
}
/^Bail out!/ { report(0, test ": " $0); next }
{ print "# " $0 }

END {
	if (dies) {
		report(booted && running && status == 0, "the machine died in " test)
	} else {
		if (running)
			report(0, test ": the machine died in it")
		report(booted && done && status == 0, "the machine ran to its end")
	}
	if (status == 124 || status == 137)
		print "# given up after " limit " s"
	if (!booted || (!done && !dies)) {
		while ((getline line <qemu_log) > 0)
			print "# qemu: " line
		for (i = n_log > 60 ? n_log - 60 : 1; i <= n_log; i++)
			print "# " log_lines[i]
	}

	for (i = 1; i <= n_log; i++) {
		if (want != "" && log_lines[i] ~ want)
			found = 1
		if (!first && complaint(i))
			first = i
	}
	if (want != "") {
		report(found || (leaks && want ~ /memory leak/), "the kernel finds it: " want)
	} else {
		report(!first && !leaks, "the kernel has nothing to complain of")
		for (i = first; first && i <= n_log && i < first + 60; i++)
			print "# " log_lines[i]
	}
	print "1.." checks
	exit failed ? 1 : 0
}
