# SPDX-License-Identifier: MIT
libs += wire braid
wire-src := lib/ring.c lib/spin.c lib/wire.c lib/wire_fd.c
braid-src := lib/buffer.c lib/conn.c lib/device.c lib/error.c lib/infer.c lib/model.c lib/open.c lib/ring.c \
	lib/request.c lib/resubmit.c lib/sock_ring.c lib/socket.c lib/spin.c lib/sync.c lib/wire.c lib/wire_fd.c

# The shared library shows what the map names and nothing else.
extra += $(O)/libbraid.so
installed += $(O)/libbraid.so $(O)/libbraid.a $(O)/man/libbraid.3
$(O)/libbraid.so: $(patsubst %.c,$(O)/%.o,$(braid-src)) lib/libbraid.map
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -shared -Wl,-soname,libbraid.so.0 \
		-Wl,--version-script=lib/libbraid.map -o $@ $(filter %.o,$^)

# Manual pages come out of the header; the date is that of its last change of
# meaning, so that two builds make the same pages.
man-date := November 26, 2026
extra += $(O)/man/libbraid.3
$(O)/man/libbraid.3: include/braid.h lib/man.awk lib/man/example.c
	$(call say,MAN,$@)
	$(Q)rm -rf $(@D) && mkdir -p $(@D)
	$(Q)awk -v dir=$(@D) -v date='$(man-date)' \
		-v example=lib/man/example.c -f lib/man.awk include/braid.h

install-hooks += install-libbraid
.PHONY: install-libbraid
install-libbraid: installed
	$(INSTALL) -D -m 644 $(O)/libbraid.so $(DESTDIR)$(libdir)/libbraid.so.0
	ln -sf libbraid.so.0 $(DESTDIR)$(libdir)/libbraid.so
	$(INSTALL) -m 644 $(O)/libbraid.a $(DESTDIR)$(libdir)/libbraid.a
	$(INSTALL) -D -m 644 include/braid.h $(DESTDIR)$(includedir)/braid.h
	$(INSTALL) -d $(DESTDIR)$(includedir)/linux
	$(INSTALL) -m 644 include/uapi/linux/*.h $(DESTDIR)$(includedir)/linux
	$(INSTALL) -d $(DESTDIR)$(mandir)/man3 $(DESTDIR)$(libdir)/pkgconfig
	$(INSTALL) -m 644 $(O)/man/*.3 $(DESTDIR)$(mandir)/man3
	sed 's|@prefix@|$(PREFIX)|; s|@libdir@|$(libdir)|; s|@includedir@|$(includedir)|; s|@version@|$(version)|' \
		lib/libbraid.pc.in >$(DESTDIR)$(libdir)/pkgconfig/libbraid.pc
	# Into the running system: what links the library finds it from now on.
	if [ -z "$(DESTDIR)" ] && [ "$$(id -u)" -eq 0 ]; then ldconfig; fi
