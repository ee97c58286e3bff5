/* SPDX-License-Identifier: MIT */
/* The whole of libc that core/ may use. */
#ifndef BARE_LINUX_STRING_H
#define BARE_LINUX_STRING_H

void *memset(void *s, int c, __SIZE_TYPE__ n);
void *memcpy(void *to, const void *from, __SIZE_TYPE__ n);

#endif
