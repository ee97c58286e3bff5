# SPDX-License-Identifier: MIT
#
# What the system has to know: who tenants and braidd are, and whose the
# devices are. The module itself is installed by `make install-dkms`, as source.

udevdir ?= $(PREFIX)/lib/udev/rules.d
sysusersdir ?= $(PREFIX)/lib/sysusers.d
modulesloaddir ?= $(PREFIX)/lib/modules-load.d
completionsdir ?= $(PREFIX)/share/bash-completion/completions
# Where DKMS looks.
srcdir ?= /usr/src

install-files += agent/install/60-braid.rules:$(udevdir)
install-hooks += install-system
.PHONY: install-system
install-system:
	$(INSTALL) -D -m 644 agent/install/braid.conf.sysusers $(DESTDIR)$(sysusersdir)/braid.conf
	$(INSTALL) -D -m 644 tools/braidctl/braidctl.bash $(DESTDIR)$(completionsdir)/braidctl

dkms-dir := $(srcdir)/braid-$(version)

.PHONY: install-dkms
install-dkms:
	$(INSTALL) -d $(addprefix $(DESTDIR)$(dkms-dir)/,kmod core include/uapi/linux)
	$(INSTALL) -m 644 Kbuild COPYING $(DESTDIR)$(dkms-dir)
	$(INSTALL) -m 644 kmod/*.[ch] $(DESTDIR)$(dkms-dir)/kmod
	$(INSTALL) -m 644 core/*.[ch] $(DESTDIR)$(dkms-dir)/core
	$(INSTALL) -m 644 include/uapi/linux/*.h $(DESTDIR)$(dkms-dir)/include/uapi/linux
	sed 's|#MODULE_VERSION#|$(version)|' kmod/dkms.conf.in >$(DESTDIR)$(dkms-dir)/dkms.conf
	$(INSTALL) -D -m 644 agent/install/braid.conf.modules $(DESTDIR)$(modulesloaddir)/braid.conf
