/* SPDX-License-Identifier: MIT */
/* Enough for the uapi header's command numbers. */
#ifndef BARE_LINUX_IOCTL_H
#define BARE_LINUX_IOCTL_H

#define _IO(type, nr) (((type) << 8) | (nr))

#endif
