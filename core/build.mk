# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# Queue and window logic, shared with the kernel module: core/queue.h.

libs += core
core-src := core/rbtree.c core/queue.c core/agent.c core/owner.c core/order.c \
	core/model.c core/buffer.c core/submit.c core/request.c core/window.c
