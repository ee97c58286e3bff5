# SPDX-License-Identifier: MIT
#
# Makes the man pages of libbraid from the kernel-doc in include/braid.h, so
# that there is one text to keep true: a page a function, and libbraid(3) from
# the comment at the header's head and the program in example. Set dir (where
# to), date (mdoc's) and example (a file).

function flush_list() {
	if (in_list)
		print ".El" >page
	in_list = 0
}

# One line as it is, safe for roff.
function literally(s) {
	gsub(/\\/, "\\e", s)
	if (s ~ /^[.']/)
		s = "\\&" s
	return s
}

# One line of text: a sentence begins on a line of its own.
function text(s) {
	s = literally(s)
	while (match(s, /[a-zA-Z0-9)][.?!] +[A-Z]/))
		s = substr(s, 1, RSTART + 1) "\n" substr(s, RSTART + RLENGTH - 1)
	return s
}

function open_page(name, about) {
	page = dir "/" name ".3"
	print ".\\\" Made by lib/man.awk from include/braid.h." >page
	print ".Dd " date >page
	print ".Dt " toupper(name) " 3" >page
	print ".Os Braid" >page
	print ".Sh NAME" >page
	print ".Nm " name >page
	print ".Nd " text(about) >page
}

# "const char *path" of the arguments; a prototype may run over lines.
function synopsis(proto,    head, args, n, a, i, type) {
	sub(/;$/, "", proto)
	gsub(/[ \t]+/, " ", proto)
	i = index(proto, "(")
	head = substr(proto, 1, i - 1)
	args = substr(proto, i + 1)
	sub(/\)$/, "", args)
	type = head
	sub(name "$", "", type)
	sub(/ +$/, "", type)
	print ".Sh SYNOPSIS" >page
	print ".In braid.h" >page
	print ".Ft \"" type "\"" >page
	print ".Fo " name >page
	n = split(args, a, /, */)
	for (i = 1; i <= n; i++)
		print ".Fa \"" a[i] "\"" >page
	print ".Fc" >page
}

# The lines of a comment that were kept: arguments, paragraphs, Return.
function body(    i, at, line, fresh, before) {
	print ".Sh DESCRIPTION" >page
	if (!n_lines)
		print "Returns " text(about) "." >page
	fresh = 0
	for (i = 1; i <= n_lines; i++) {
		line = lines[i]
		if (line ~ /^@[a-z_]+:/) {
			if (!in_list)
				print ".Bl -tag -width 10n" >page
			in_list = 1
			print ".It Fa " substr(line, 2, index(line, ":") - 2) >page
			sub(/^@[a-z_]+: */, "", line)
			print text(line) >page
		} else if (line == "") {
			flush_list()
			fresh = 1
		} else {
			# Return may begin within a paragraph.
			if (match(line, /Return: /)) {
				at = RSTART
				if (at > 1) {
					before = substr(line, 1, at - 1)
					sub(/ +$/, "", before)
					print text(before) >page
				}
				flush_list()
				print ".Sh RETURN VALUES" >page
				line = substr(line, at + 8)
				fresh = 0
			}
			if (fresh)
				print ".Pp" >page
			fresh = 0
			print text(line) >page
		}
	}
	flush_list()
}

function sort_names(    i, k, x) {
	for (i = 2; i <= n_names; i++) {
		x = names[i]
		for (k = i - 1; k && names[k] > x; k--)
			names[k + 1] = names[k]
		names[k + 1] = x
	}
}

function close_page(    i) {
	print ".Sh SEE ALSO" >page
	if (page !~ /\/libbraid\.3$/)
		print ".Xr libbraid 3" >page
	else {
		sort_names()
		for (i = 1; i < n_names; i++)
			print ".Xr " names[i] " 3 ," >page
		print ".Xr " names[n_names] " 3" >page
	}
	close(page)
}

# A whole comment and the prototype after it have been read.
function function_page() {
	names[++n_names] = name
	open_page(name, about)
	synopsis(proto)
	body()
	close_page()
}

FNR > 1 && /^\/\*$/ && !overview { in_overview = overview = 1; next }
in_overview && /^ \*\// { in_overview = 0; next }
in_overview { sub(/^ \* ?/, ""); over[++n_over] = $0; next }

/^\/\*\* [a-z_]+\(\) - .* \*\/$/ || /^\/\*\* [a-z_]+\(\) - / {
	line = $0
	sub(/^\/\*\* /, "", line)
	sub(/ *\*\/$/, "", line)
	name = substr(line, 1, index(line, "(") - 1)
	about = substr(line, index(line, " - ") + 3)
	n_lines = 0
	proto = ""
	state = "proto"
	next
}
/^\/\*\*$/ { state = "first"; next }
state == "first" {
	state = ""
	if ($0 ~ /^ \* [a-z_]+\(\) - /) {
		sub(/^ \* /, "")
		name = substr($0, 1, index($0, "(") - 1)
		about = substr($0, index($0, " - ") + 3)
		n_lines = 0
		proto = ""
		state = "comment"
	}
	next
}
state == "comment" && /^ \*\/$/ { state = "proto"; next }
state == "comment" { sub(/^ \*[ \t]?/, ""); sub(/^[ \t]+/, ""); lines[++n_lines] = $0; next }
state == "proto" {
	line = $0
	sub(/^[ \t]+/, "", line)
	proto = proto (proto == "" ? "" : " ") line
	if (line ~ /;$/) {
		state = ""
		function_page()
	}
	next
}

END {
	open_page("libbraid", "inference through a shared queue")
	print ".Sh SYNOPSIS" >page
	print ".In braid.h" >page
	print ".Pp" >page
	print "Link with" >page
	print ".Fl lbraid ." >page
	print ".Sh DESCRIPTION" >page
	literal = 0
	for (i = 1; i <= n_over; i++) {
		line = over[i]
		if (line ~ /^\t/) {
			if (!literal)
				print ".Bd -literal -offset indent" >page
			else if (pending)
				print "" >page
			literal = 1
			pending = 0
			sub(/^\t/, "", line)
			print literally(line) >page
			continue
		}
		if (line == "")
			pending = 1
		else {
			if (literal)
				print ".Ed" >page
			literal = 0
			if (pending)
				print ".Pp" >page
			pending = 0
			print text(line) >page
		}
	}
	print ".Pp" >page
	print "Structures are described in the header." >page
	print ".Sh EXAMPLES" >page
	print "Built with" >page
	print ".Ql cc example.c $(pkg-config --cflags --libs libbraid) :" >page
	print ".Bd -literal" >page
	while ((getline line <example) > 0)
		print literally(line) >page
	print ".Ed" >page
	close_page()
}
