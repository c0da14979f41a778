# SPDX-License-Identifier: BSD-2-Clause
# mpgate: one Makefile, objects under build/. `make help` lists what there is.

VERSION := 0.1.0
ARCH    := $(shell uname -m)
CC      ?= gcc
CLANG   ?= $(firstword $(shell command -v clang clang-14 clang-16 2>/dev/null) clang)
STRIP_BPF ?= $(firstword $(shell command -v llvm-strip llvm-strip-14 2>/dev/null) true)
BPFTOOL ?= $(firstword $(shell command -v bpftool) /usr/sbin/bpftool)
PREFIX  ?= /usr/local
DESTDIR ?=
B       := $(if $(SAN),build/san,build)
comma   := ,
# What has to be built first, with all processors.
BUILD_FIRST = +@$(MAKE) --no-print-directory -j$(shell nproc)

.DEFAULT_GOAL := all
MAKEFLAGS += --no-builtin-rules
.DELETE_ON_ERROR:
.SECONDARY:

# ---- flags ---------------------------------------------------------------------------------------
WARN    := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
           -Wvla -Wno-missing-field-initializers
CPPFLAGS += -Iinclude -Iuser -I$(B)/include -D_GNU_SOURCE -DMG_VERSION='"$(VERSION)"'
OPT     ?= -O2 -g
CFLAGS  += -std=gnu11 $(OPT) -fPIC -fvisibility=hidden -fno-strict-aliasing $(WARN) -MMD -MP
ifdef SAN
CFLAGS  += -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
LDFLAGS += -fsanitize=address,undefined
endif
LIBS_DAEMON := -lxdp -lbpf -lelf -lz -lmnl -lcyaml -lyaml -ljansson -lcap-ng -lsystemd -lhiredis -lnettle -lpthread -lm
LIBS_CTL    := -ljansson
BPF_ARCH := $(subst x86_64,x86,$(subst aarch64,arm64,$(ARCH)))
BPF_CFLAGS := -std=gnu11 -O2 -g -target bpf -mcpu=v3 -D__TARGET_ARCH_$(BPF_ARCH) -Wall -Wextra -Werror \
              -Wno-unused-parameter -Iinclude -Ivmlinux/$(ARCH) -Ibpf -MMD -MP

# ---- what there is -------------------------------------------------------------------------------
ROOMS     := base wire request config sys access proxy gateway daemon ctl client/lib client/preload client/run
src        = $(wildcard user/$(1)/*.c)
obj        = $(patsubst %.c,$(B)/%.o,$(call src,$(1)))
OBJ_CORE  := $(foreach r,base wire request config sys access proxy gateway,$(call obj,$(r)))
# RADIUS is the daemon's alone, and so is the library it needs.
OBJ_SMALL := $(filter-out %/radius.o,$(foreach r,base wire,$(call obj,$(r))))
SKELS     := $(patsubst %.bpf.c,$(B)/include/skel/%.skel.h,$(notdir $(wildcard bpf/*.bpf.c tests/packet/*.bpf.c)))

BINARIES  := $(B)/mpgated $(B)/mpgatectl $(B)/mpgate-run
LIBRARIES := $(B)/libmpgate.so.0 $(B)/libmpgate.a $(B)/libmpgate-preload.so
UNIT      := $(patsubst %.c,$(B)/%,$(wildcard tests/unit/test_*.c))
PACKET    := $(patsubst %.c,$(B)/%,$(wildcard tests/packet/test_*.c))
PACKET_HELP := $(patsubst %.c,$(B)/%.o,$(filter-out tests/packet/test_% %.bpf.c,$(wildcard tests/packet/*.c)))
TOOLS     := $(patsubst %.c,$(B)/%,$(wildcard tests/tools/*.c tests/bench/*.c))
FUZZ      := $(patsubst tests/fuzz/%.c,build/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
REPLAY    := $(patsubst tests/fuzz/fuzz_%.c,$(B)/tests/fuzz/replay_%,$(wildcard tests/fuzz/fuzz_*.c))
E2E       := $(sort $(wildcard tests/e2e/test_*.sh))
CONFIG_T  := $(sort $(wildcard tests/config/test_*.sh))

.PHONY: all deps demo check check-unit check-packet check-e2e check-vm fuzz bench format lint \
        install clean help test-binaries

all: $(BINARIES) $(LIBRARIES) ## build everything (default)

# ---- kernel side ---------------------------------------------------------------------------------
$(B)/bpf/%.bpf.o: bpf/%.bpf.c
	@mkdir -p $(@D)
	$(CLANG) $(BPF_CFLAGS) -MF $(@:.o=.d) -c $< -o $@
	$(STRIP_BPF) -g $@

# What only tests ask of the rooms
$(B)/bpf/%.bpf.o: tests/packet/%.bpf.c
	@mkdir -p $(@D)
	$(CLANG) $(BPF_CFLAGS) -MF $(@:.o=.d) -c $< -o $@
	$(STRIP_BPF) -g $@

$(B)/include/skel/%.skel.h: $(B)/bpf/%.bpf.o
	@mkdir -p $(@D)
	$(BPFTOOL) gen skeleton $< name mg_$*_bpf > $@

# ---- user side -----------------------------------------------------------------------------------
# The skeletons come before whatever may include them; dependency files take over from there.
$(call obj,sys) $(PACKET:=.o) $(PACKET_HELP) $(TOOLS:=.o): | $(SKELS)
$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -c $< -o $@

$(B)/mpgated: $(call obj,daemon) $(OBJ_CORE)
	$(CC) $(LDFLAGS) $^ -o $@ $(LIBS_DAEMON)
$(B)/mpgatectl: $(call obj,ctl) $(OBJ_SMALL)
	$(CC) $(LDFLAGS) $^ -o $@ $(LIBS_CTL)
$(B)/mpgate-run: $(call obj,client/run) $(B)/libmpgate.a
	$(CC) $(LDFLAGS) $^ -o $@ $(LIBS_CTL)
CLIENT_OBJ := $(call obj,base) $(call obj,request) $(B)/user/wire/convert.o $(B)/user/wire/provision.o
$(B)/libmpgate.a: $(call obj,client/lib) $(CLIENT_OBJ)
	rm -f $@ && $(AR) rcs $@ $^
$(B)/libmpgate.so.0: $(call obj,client/lib) $(CLIENT_OBJ)
	$(CC) $(LDFLAGS) -shared -Wl,-soname,libmpgate.so.0 $^ -o $@ -lpthread
	ln -sf libmpgate.so.0 $(B)/libmpgate.so
$(B)/libmpgate-preload.so: $(call obj,client/preload) $(call obj,client/lib) $(CLIENT_OBJ)
	$(CC) $(LDFLAGS) -shared $^ -o $@ -ldl -lpthread

# ---- tests ---------------------------------------------------------------------------------------
# Calls that a test answers itself: with errors, or by the byte.
WRAP_test_access := mg_admission_feed_set mg_admission_feed_del mg_admission_access_number mg_admission_class_number
WRAP_test_accounting := $(WRAP_test_access) clock_gettime
WRAP_test_flow := send recv malloc
WRAP_test_gateway := mg_check_close mg_check_open mg_check_state mg_nexthop_find mg_nexthop_watch \
                     mg_nexthop_watch_drain mg_steer_each mg_steer_get_group mg_steer_get_proxy mg_steer_push \
                     mg_steer_ring mg_steer_set_gateway mg_steer_set_group mg_steer_set_mine mg_steer_set_neighbours \
                     mg_steer_set_peers mg_steer_set_proxy mg_steer_set_rules mg_steer_set_virtual
WRAP_ADMISSION := mg_admission_close_session mg_admission_joined mg_admission_open_session mg_admission_token \
                  mg_diag_end_connection mg_mptcp_subflows
WRAP_test_reserve := mg_admission_account mg_admission_reserve
WRAP_test_relay := $(WRAP_ADMISSION) clock_gettime
WRAP_test_requests := $(WRAP_ADMISSION) clock_gettime
WRAP_test_session := $(WRAP_ADMISSION) clock_gettime
WRAP_test_sessionlog := syslog write
WRAP_test_session_faults := $(WRAP_ADMISSION) accept4 calloc clock_gettime connect epoll_ctl malloc open realloc recv \
                            send socket
WRAP_HELD := $(WRAP_ADMISSION) accept4 calloc clock_gettime connect epoll_ctl malloc open realloc recv send socket \
             mg_dp_admission mg_dp_holder mg_dp_synack_take mg_sock_abort mg_sock_local mg_sock_syn_repeats mg_mptcp_received_bytes \
             mg_hold_announce mg_hold_beat mg_hold_fd mg_hold_learn mg_hold_listen_ip mg_hold_pass mg_hold_read mg_hold_release mg_hold_reset \
             mg_hold_stand_in mg_hold_take mg_hold_token_add mg_hold_token_del mg_hold_unreachable
WRAP_test_admit := $(WRAP_HELD)
WRAP_test_admit_held := $(WRAP_HELD)
WRAP_test_held := $(WRAP_HELD)
WRAP_test_held_again := $(WRAP_HELD)
WRAP_test_held_ends := $(WRAP_HELD)
WRAP_test_held_faults := $(WRAP_HELD)
WRAP_test_held_slow := $(WRAP_HELD)
WRAP_test_held_waiters := $(WRAP_HELD)
WRAP_test_held_convert := $(WRAP_HELD)
$(UNIT): $(B)/tests/unit/%: $(B)/tests/unit/%.o $(OBJ_CORE) $(call obj,client/lib)
	$(CC) $(LDFLAGS) $(addprefix -Wl$(comma)--wrap=,$(WRAP_$*)) $^ -o $@ -lcmocka $(LIBS_DAEMON)
$(PACKET): $(B)/tests/packet/%: $(B)/tests/packet/%.o $(PACKET_HELP) $(OBJ_CORE)
	$(CC) $(LDFLAGS) $^ -o $@ -lcmocka $(LIBS_DAEMON)
# Measures packets, which it has from the tests of packets.
$(B)/tests/bench/steer_cost $(B)/tests/bench/policy_cost: LIBS_DAEMON += -lcmocka
$(B)/tests/bench/steer_cost $(B)/tests/bench/policy_cost: $(PACKET_HELP)
$(TOOLS): $(B)/%: $(B)/%.o $(OBJ_CORE)
	$(CC) $(LDFLAGS) $^ -o $@ $(LIBS_DAEMON)
$(REPLAY): $(B)/tests/fuzz/replay_%: $(B)/tests/fuzz/fuzz_%.o $(B)/tests/fuzz/replay.o $(OBJ_CORE)
	$(CC) $(LDFLAGS) $^ -o $@ $(LIBS_DAEMON)
build/fuzz/%: tests/fuzz/%.c $(foreach r,base wire config,$(call src,$(r)))
	@mkdir -p $(@D)
	$(CLANG) $(CPPFLAGS) -std=gnu11 -O1 -g -fsanitize=fuzzer,address,undefined $^ -o $@ -lcyaml -lyaml -ljansson -lnettle

test-binaries: all $(UNIT) $(PACKET) $(TOOLS) $(REPLAY)

check: deps ## install what is missing, build, run every test but the virtual machines
	$(BUILD_FIRST) test-binaries
	@BUILD=$(B) tests/run --title check $(UNIT) $(PACKET) $(REPLAY) $(CONFIG_T) $(E2E)
check-unit: deps ## codec, buffers, timers, sessions (cmocka)
	$(BUILD_FIRST) all $(UNIT) $(REPLAY) $(B)/tests/tools/config_print
	@BUILD=$(B) tests/run --title check-unit $(UNIT) $(REPLAY) $(CONFIG_T)
check-packet: deps ## packets through the BPF programs
	$(BUILD_FIRST) $(PACKET)
	@BUILD=$(B) tests/run --title check-packet $(PACKET)
check-e2e: deps ## real traffic in network namespaces; T=name picks one
	$(BUILD_FIRST) test-binaries
	@BUILD=$(B) tests/run --title check-e2e $(if $(T),tests/e2e/test_$(T).sh,$(E2E))
check-vm: deps ## packet tests and a short end-to-end set on other kernels
	$(BUILD_FIRST) test-binaries
	@BUILD=$(B) tools/vm/check
fuzz: deps ## run the fuzzers, FUZZ_SECONDS each (default 60)
	$(BUILD_FIRST) $(FUZZ)
	@tests/fuzz/run $(FUZZ)
bench: deps ## measure beside HAProxy; prints JSON; BENCH="--only onpath" and the like for a part
	$(BUILD_FIRST) test-binaries
	@BUILD=$(B) tests/bench/run $(BENCH)
demo: deps ## both links at once, one cut, a phone that moves: a minute and a half
	$(BUILD_FIRST) all
	@BUILD=$(B) tools/demo.sh

# ---- chores --------------------------------------------------------------------------------------
deps: ## install the Debian packages that are missing
	@tools/deps.sh
C_FILES := $(shell find user bpf include tests -name '*.[ch]' 2>/dev/null)
format: ## clang-format in place
	clang-format -i $(C_FILES)
lint: deps ## clang-format, clang-tidy, shellcheck, mandoc
	$(BUILD_FIRST) all
	@BUILD=$(B) tools/lint.sh
install: all ## PREFIX, DESTDIR
	@BUILD=$(B) PREFIX=$(PREFIX) DESTDIR=$(DESTDIR) VERSION=$(VERSION) tools/install.sh
clean: ## remove build/
	rm -rf build
help: ## this list
	@sed -n 's/^\([a-z][a-z0-9-]*\):.*## \(.*\)/\1|\2/p' Makefile | awk -F'|' '{printf "  make %-14s %s\n", $$1, $$2}'

-include $(shell find $(B) -name '*.d' 2>/dev/null)
