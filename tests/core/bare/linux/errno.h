/* SPDX-License-Identifier: MIT */
/* The errno numbers that core/ uses. */
#ifndef BARE_LINUX_ERRNO_H
#define BARE_LINUX_ERRNO_H

#define ENOENT		2
#define EIO		5
#define E2BIG		7
#define EAGAIN		11
#define EBUSY		16
#define ENODEV		19
#define EINVAL		22
#define ETIME		62
#define EOVERFLOW	75
#define EMSGSIZE	90
#define EOPNOTSUPP	95
#define ESTALE		116
#define EDQUOT		122
#define ECANCELED	125

#endif
