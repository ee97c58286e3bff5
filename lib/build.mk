# SPDX-License-Identifier: MIT
libs += wire braid
wire-src := lib/wire.c
braid-src := lib/buffer.c lib/conn.c lib/error.c lib/model.c lib/open.c lib/request.c \
	lib/sync.c lib/wire.c

# The shared library shows what the map names and nothing else.
extra += $(O)/libbraid.so
$(O)/libbraid.so: $(patsubst %.c,$(O)/%.o,$(braid-src)) lib/libbraid.map
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -shared -Wl,-soname,libbraid.so.0 \
		-Wl,--version-script=lib/libbraid.map -o $@ $(filter %.o,$^)
