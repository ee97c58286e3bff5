// SPDX-License-Identifier: MIT
/*
 * Finding libraries and their functions: see library.h. Keeps nothing.
 */
#include "bpf/library.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int library_stat(const char *path, struct library_file *out)
{
	struct stat st;

	if (stat(path, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (strlen(path) >= sizeof(out->path))
		return -ENAMETOOLONG;
	strcpy(out->path, path);
	out->dev = st.st_dev;
	out->ino = st.st_ino;
	return 0;
}

static unsigned int add(const char *path, struct library_file *out, unsigned int n,
			unsigned int max)
{
	struct library_file f;

	if (library_stat(path, &f))
		return n;
	for (unsigned int i = 0; i < n; i++)
		if (out[i].dev == f.dev && out[i].ino == f.ino)
			return n;
	if (n < max)
		out[n++] = f;
	return n;
}

/* The files of one process. Its own root leads to them, whatever ours is. */
static unsigned int mapped(const char *pid, const char *name, struct library_file *out,
			   unsigned int n, unsigned int max)
{
	char line[4096], path[4352], last[4096] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%s/maps", pid);
	f = fopen(path, "re");
	if (!f)
		return n;
	while (fgets(line, sizeof(line), f)) {
		char *at = strchr(line, '/'), *base;

		if (!at)
			continue;
		at[strcspn(at, "\n")] = 0;
		base = strrchr(at, '/') + 1;
		if (strncmp(base, name, strlen(name)) || !strcmp(at, last))
			continue;
		strcpy(last, at);
		/* One that was replaced: nothing leads to it but the mapping. */
		if (strlen(at) > 10 && !strcmp(at + strlen(at) - 10, " (deleted)"))
			snprintf(path, sizeof(path), "/proc/%s/map_files/%.*s", pid,
				 (int)strcspn(line, " "), line);
		else
			snprintf(path, sizeof(path), "/proc/%s/root%s", pid, at);
		n = add(path, out, n, max);
	}
	fclose(f);
	return n;
}

unsigned int library_find(const char *name, const char *const *installed,
			  struct library_file *out, unsigned int max)
{
	unsigned int n = 0;
	struct dirent *d;
	DIR *proc;

	for (int i = 0; installed && installed[i]; i++)
		n = add(installed[i], out, n, max);
	proc = opendir("/proc");
	if (!proc)
		return n;
	while ((d = readdir(proc)))
		if (d->d_name[0] >= '1' && d->d_name[0] <= '9')
			n = mapped(d->d_name, name, out, n, max);
	closedir(proc);
	return n;
}

/* The offset in the file of what lies at an address once it is loaded. */
static uint64_t offset_of(Elf *elf, uint64_t addr)
{
	size_t n = 0;

	elf_getphdrnum(elf, &n);
	for (size_t i = 0; i < n; i++) {
		GElf_Phdr ph;

		if (gelf_getphdr(elf, i, &ph) && ph.p_type == PT_LOAD && addr >= ph.p_vaddr &&
		    addr - ph.p_vaddr < ph.p_filesz)
			return addr - ph.p_vaddr + ph.p_offset;
	}
	return 0;
}

#if defined(__x86_64__)
static uint64_t past_landing_pad(const char *file, size_t bytes, uint64_t offset)
{
	static const unsigned char endbr64[] = { 0xf3, 0x0f, 0x1e, 0xfa };
	const unsigned char *at = (const unsigned char *)file + offset;
	const unsigned char *next = at + sizeof(endbr64);

	if (offset + 6 > bytes || memcmp(at, endbr64, sizeof(endbr64)))
		return offset;
	if ((next[0] & 0xf8) == 0x50 || (next[0] == 0x41 && (next[1] & 0xf8) == 0x50))
		return offset + sizeof(endbr64);
	return offset;
}
#else
static uint64_t past_landing_pad(const char *file, size_t bytes, uint64_t offset)
{
	return offset;
}
#endif

static int by_name(const void *a, const void *b)
{
	return strcmp(**(const char *const *const *)a, **(const char *const *const *)b);
}

static int look_up(Elf *elf, Elf_Scn *scn, const char *const **sorted, size_t n_names,
		   const char *const *names, uint64_t *offsets)
{
	Elf_Data *data = elf_getdata(scn, NULL);
	GElf_Shdr sh;
	size_t bytes;
	char *file = elf_rawfile(elf, &bytes);
	int found = 0;

	if (!file || !data || !gelf_getshdr(scn, &sh) || !sh.sh_entsize)
		return 0;
	for (size_t i = 0; i < sh.sh_size / sh.sh_entsize; i++) {
		const char *const **hit, *name;
		const char *const *key;
		uint64_t offset;
		GElf_Sym sym;

		if (!gelf_getsym(data, i, &sym) || GELF_ST_TYPE(sym.st_info) != STT_FUNC ||
		    sym.st_shndx == SHN_UNDEF)
			continue;
		name = elf_strptr(elf, sh.sh_link, sym.st_name);
		if (!name)
			continue;
		key = &name;
		hit = bsearch(&key, sorted, n_names, sizeof(*sorted), by_name);
		offset = hit ? offset_of(elf, sym.st_value) : 0;
		if (!offset || offsets[*hit - names])
			continue;
		offsets[*hit - names] = past_landing_pad(file, bytes, offset);
		found++;
	}
	return found;
}

int library_symbols(const char *path, const char *const *names, uint64_t *offsets)
{
	const char *const **sorted;
	int fd, found = -ENOEXEC;
	Elf_Scn *scn = NULL;
	size_t n = 0;
	Elf *elf;

	while (names[n])
		offsets[n++] = 0;
	sorted = calloc(n + 1, sizeof(*sorted));
	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		sorted[i] = &names[i];
	qsort(sorted, n, sizeof(*sorted), by_name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		found = -errno;
		goto out;
	}
	elf_version(EV_CURRENT);
	elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
	if (elf && gelf_getclass(elf) == ELFCLASS64) {
		found = 0;
		while ((scn = elf_nextscn(elf, scn))) {
			GElf_Shdr sh;

			if (gelf_getshdr(scn, &sh) &&
			    (sh.sh_type == SHT_DYNSYM || sh.sh_type == SHT_SYMTAB))
				found += look_up(elf, scn, sorted, n, names, offsets);
		}
	}
	if (elf)
		elf_end(elf);
	close(fd);
out:
	free(sorted);
	return found;
}

static bool in_data(const Elf_Data *d, const char *s)
{
	const char *begin = d->d_buf;

	return s >= begin && s < begin + d->d_size &&
	       memchr(s, 0, begin + d->d_size - s);
}

/* A note: three addresses, then provider, name and arguments. */
static bool point(Elf *elf, const Elf_Data *d, size_t at, size_t bytes, uint64_t base,
		  const char *provider, const char *const *names, const char *args,
		  struct library_point *out)
{
	const char *text = (const char *)d->d_buf + at, *name;
	uint64_t where[3];

	if (bytes < sizeof(where) + 3)
		return false;
	memcpy(where, text, sizeof(where));
	text += sizeof(where);
	if (!in_data(d, text) || strcmp(text, provider))
		return false;
	name = text + strlen(text) + 1;
	if (!in_data(d, name))
		return false;
	text = name + strlen(name) + 1;
	if (!in_data(d, text) || strcmp(text, args))
		return false;
	/* The file may have been moved as a whole since the note was written. */
	if (base && where[1]) {
		where[0] += base - where[1];
		if (where[2])
			where[2] += base - where[1];
	}
	for (unsigned int i = 0; names[i]; i++) {
		if (strcmp(names[i], name))
			continue;
		*out = (struct library_point){ i, offset_of(elf, where[0]),
					       where[2] ? offset_of(elf, where[2]) : 0 };
		return out->offset;
	}
	return false;
}

static int points(Elf *elf, const char *provider, const char *const *names, const char *args,
		  struct library_point *out, unsigned int max)
{
	Elf_Scn *scn = NULL, *notes = NULL;
	size_t strings, at = 0, next, name_at, desc_at;
	uint64_t base = 0;
	unsigned int n = 0;
	GElf_Nhdr nh;
	Elf_Data *d;

	if (elf_getshdrstrndx(elf, &strings))
		return 0;
	while ((scn = elf_nextscn(elf, scn))) {
		const char *name;
		GElf_Shdr sh;

		if (!gelf_getshdr(scn, &sh))
			continue;
		name = elf_strptr(elf, strings, sh.sh_name);
		if (name && !strcmp(name, ".stapsdt.base"))
			base = sh.sh_addr;
		else if (name && sh.sh_type == SHT_NOTE && !strcmp(name, ".note.stapsdt"))
			notes = scn;
	}
	d = notes ? elf_getdata(notes, NULL) : NULL;
	while (d && n < max && (next = gelf_getnote(d, at, &nh, &name_at, &desc_at))) {
		if (nh.n_type == 3 && nh.n_namesz == 8 &&
		    !memcmp((char *)d->d_buf + name_at, "stapsdt", 8) &&
		    point(elf, d, desc_at, nh.n_descsz, base, provider, names, args, &out[n]))
			n++;
		at = next;
	}
	return n;
}

int library_points(const char *path, const char *provider, const char *const *names,
		   const char *args, struct library_point *out, unsigned int max)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), ret = -ENOEXEC;
	Elf *elf;

	if (fd < 0)
		return -errno;
	elf_version(EV_CURRENT);
	elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
	if (elf && gelf_getclass(elf) == ELFCLASS64)
		ret = points(elf, provider, names, args, out, max);
	if (elf)
		elf_end(elf);
	close(fd);
	return ret;
}
