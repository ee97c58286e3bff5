// SPDX-License-Identifier: MIT
/*
 * INI files line by line: see ini_lines.h. Keeps nothing.
 */
#include "agent/ini_lines.h"

#include <errno.h>
#include <string.h>

static char *next_line(char *buf, int size, void *stream)
{
	struct ini_lines *s = stream;
	size_t blanks, n;
	int c;

	s->line++;
	if (!fgets(buf, size, s->f))
		return NULL;
	blanks = strspn(buf, " \t");
	n = strlen(buf);
	if (n + 1 == (size_t)size && buf[n - 1] != '\n') {
		/* Of a comment nobody needs the rest. */
		if (buf[blanks] != ';' && buf[blanks] != '#' && !s->too_long)
			s->too_long = s->line;
		do {
			c = getc(s->f);
		} while (c != '\n' && c != EOF);
	}
	memmove(buf, buf + blanks, n - blanks + 1);
	return buf;
}

int ini_lines_read(struct ini_lines *s, const char *path, ini_handler handle, void *user)
{
	int ret;

	*s = (struct ini_lines){ .f = fopen(path, "re") };
	if (!s->f)
		return -errno;
	ret = ini_parse_stream(next_line, s, handle, user);
	if (ferror(s->f))
		ret = -EIO;
	else if (ret < 0)
		ret = -ENOMEM;
	else if (s->too_long && (!ret || s->too_long < ret))
		ret = s->too_long;
	fclose(s->f);
	return ret;
}
