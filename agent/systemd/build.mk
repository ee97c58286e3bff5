# SPDX-License-Identifier: MIT
#
# The service and its configuration as installed. The example sets nothing but
# defaults, so installing it changes nothing; one that is there is kept.

install-hooks += install-braidd
.PHONY: install-braidd
install-braidd:
	sed 's|@sbindir@|$(sbindir)|; s|@sysconfdir@|$(sysconfdir)|; s|@docdir@|$(docdir)|' agent/systemd/braidd.service.in \
		>$(O)/braidd.service
	$(INSTALL) -D -m 644 $(O)/braidd.service $(DESTDIR)$(unitdir)/braidd.service
	$(INSTALL) -d $(DESTDIR)$(sysconfdir)/braid/models
	test -e $(DESTDIR)$(sysconfdir)/braid/braidd.conf || \
		{ sed 's|@docdir@|$(docdir)|' agent/systemd/braidd.conf >$(O)/braidd.conf && \
		$(INSTALL) -m 644 $(O)/braidd.conf $(DESTDIR)$(sysconfdir)/braid/braidd.conf; }

install-files += agent/systemd/braidd.8:$(mandir)/man8
