# takt: make, make run, make test, make check. README.md shows what they print; `make help` lists all.

ifeq ($(origin CC),default)
CC := gcc
endif
BUILD ?= build
OPT ?= -O3
PREFIX ?= /usr/local
ETC ?= /etc
FUZZ_SECONDS ?= 60
CLANG_FORMAT ?= clang-format

MODEL ?= models/fable/fable-q8_0.gguf
PROMPT ?= Tell me a story about a fox who finds a key.
export PROMPT
RUN_FLAGS ?= --chat --temp 0.7 --seed 1 -n 400

# -ffp-contract=off: one answer on every compiler (docs/NUMERICS.md). EXTRA goes to the linker too.
TAKT_CPPFLAGS := -Iinclude -Isrc -D_GNU_SOURCE
TAKT_CFLAGS := -std=c11 $(OPT) -g -Wall -Wextra -Wpedantic -Wshadow -Wconversion \
               -Wstrict-prototypes -Wmissing-prototypes -Wvla -Werror -ffp-contract=off
TAKT_LDLIBS := -ljansson -lcurl -lcrypto -lmicrohttpd -lsqlite3 -lpthread -lm
COMPILE = $(CC) $(CPPFLAGS) $(TAKT_CPPFLAGS) $(CFLAGS) $(TAKT_CFLAGS) $(EXTRA)
FLAGS_LINE := $(COMPILE) $(LDFLAGS)
LINK = $(CC) $(CFLAGS) $(TAKT_CFLAGS) $(EXTRA) $(LDFLAGS)

SOURCES := $(sort $(wildcard src/*/*.c))
OBJECTS := $(SOURCES:%.c=$(BUILD)/%.o)
LIB_OBJECTS := $(filter-out $(BUILD)/src/cli/%,$(OBJECTS))
TEST_OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(sort $(wildcard tests/*.c)))
# What tools share with the suite: helpers that do without cmocka.
HELPER_OBJECTS := $(BUILD)/tests/float_forward.o $(BUILD)/tests/gguf_writer.o $(BUILD)/tests/architectures.o
TOOLS := $(patsubst tools/%.c,$(BUILD)/tools/%,$(wildcard tools/*.c))
FUZZERS := $(patsubst fuzz/%.c,%,$(wildcard fuzz/fuzz_*.c))
# Folders a fuzzer begins with, and replay goes through.
corpora = $$(ls -d fuzz/corpus/$$name 2>/dev/null) $$(case $$name in fuzz_assembly | fuzz_inspect) echo tests/asm ;; fuzz_template) echo tests/templates ;; esac)
FORMATTED := $(wildcard src/*/*.[ch] include/*.h tests/*.[ch] tools/*.c fuzz/*.c)

# Groups of the test binary: these in this order, then any other that a test file defines.
GROUP_ORDER := base model tokenizer isa machine program chip num reference compile run cli golden
GROUP_PATTERN := s/^TEST_GROUP(\([a-z0-9_]*\).*/\1/p
GROUPS := $(shell sed -n '$(GROUP_PATTERN)' $(wildcard tests/test_*.c) /dev/null)
GROUPS := $(filter $(GROUPS),$(GROUP_ORDER)) $(filter-out $(GROUP_ORDER),$(GROUPS))

all: $(BUILD)/takt

help:
	@echo 'make                build $(BUILD)/takt'
	@echo 'make run            install what is missing, build, stream a story (PROMPT="...")'
	@echo 'make test           install what is missing, build, run the suite (TESTS="run cli/help*")'
	@echo 'make check          sanitizers, compilers, include law, generated docs, formatting, fuzz replay'
	@echo 'make fuzz           run the fuzzers (FUZZ_SECONDS=60 each)'
	@echo 'make bench-peer     measure this CPU beside llama.cpp (PEER_FLAGS="--threads 1")'
	@echo 'make bench-serve    measure the server beside takt bench and llama.cpp (SERVE_FLAGS="--rounds 3")'
	@echo 'make golden         write bench/cycles.golden again'
	@echo 'make docs           write the generated manuals again'
	@echo 'make format         clang-format every source'
	@echo 'make install        into DESTDIR/PREFIX (PREFIX=/usr/local)'
	@echo 'make deb             a Debian package of the same, into $(BUILD)'
	@echo 'make page            build web/ into src/serve/page.html'
	@echo 'make check-clients   groq-sdk, openai, ai, curl, chromium and load against takt serve'
	@echo 'make clean          remove every build folder'

run:
	@sh tools/setup.sh
	@$(MAKE) --no-print-directory -s -j2 all
	@printf '%s run %s %s -p "%s"\n' $(BUILD)/takt '$(MODEL)' '$(RUN_FLAGS)' "$$PROMPT"
	@$(BUILD)/takt run $(MODEL) $(RUN_FLAGS) -p "$$PROMPT"

test:
	@sh tools/setup.sh
	@$(MAKE) --no-print-directory -s -j2 all $(BUILD)/takt-tests
	$(BUILD)/takt-tests $(TESTS)

check:
	@sh tools/setup.sh check
	@bash tools/check.sh

$(BUILD)/takt: $(OBJECTS)
	$(LINK) -o $@ $^ $(LDLIBS) $(TAKT_LDLIBS)
$(BUILD)/takt-tests: $(LIB_OBJECTS) $(TEST_OBJECTS) | $(BUILD)/takt
	$(LINK) -o $@ $^ $(LDLIBS) $(TAKT_LDLIBS) -lcmocka
$(BUILD)/tools/%: $(BUILD)/tools/%.o $(HELPER_OBJECTS) $(LIB_OBJECTS)
	$(LINK) -o $@ $^ $(LDLIBS) $(TAKT_LDLIBS)
$(BUILD)/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(COMPILE) -MMD -MP -c -o $@ $<

# Kernels: each instruction set's file with its own flags, chosen among at run time.
VECTORISE := -fno-math-errno -fno-trapping-math
ifneq ($(filter x86_64%,$(shell $(CC) -dumpmachine)),)
$(BUILD)/src/native/avx2.o: TAKT_CFLAGS += $(VECTORISE) -mavx2 -mfma -mf16c
$(BUILD)/src/native/avx_vnni.o: TAKT_CFLAGS += $(VECTORISE) -mavx2 -mfma -mf16c -mavxvnni
$(BUILD)/src/native/avx512.o: TAKT_CFLAGS += $(VECTORISE) -mavx512f -mavx512bw -mavx512vl \
    -mavx512dq -mavx512vnni -mfma -mf16c -mprefer-vector-width=512
endif
ifneq ($(filter aarch64%,$(shell $(CC) -dumpmachine)),)
$(BUILD)/src/native/neon.o: TAKT_CFLAGS += $(VECTORISE) -march=armv8.2-a+dotprod
endif

# Objects are made again when the compiler or its flags change.
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(FLAGS_LINE)' > $@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi
$(BUILD)/tests/groups.h: FORCE
	@mkdir -p $(@D)
	@for group in $(GROUPS); do echo "TESTS_GROUP($$group)"; done > $@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi
$(BUILD)/src/serve/page.o: src/serve/page.html
$(BUILD)/tests/main.o: $(BUILD)/tests/groups.h
$(BUILD)/tests/%.o: TAKT_CPPFLAGS += -I$(BUILD) -Itests -DTESTS_TAKT='"$(BUILD)/takt"'
$(BUILD)/tools/%.o: TAKT_CPPFLAGS += -Itests

# Fuzzers: with clang's libFuzzer to search, with any compiler to replay the corpora.
fuzz:
	@$(MAKE) --no-print-directory -s -j2 CC=clang BUILD=build-fuzz OPT=-O1 \
	    EXTRA='-fsanitize=fuzzer-no-link,address,undefined' $(FUZZERS:%=build-fuzz/fuzz/%.o) fuzz-objects
	@for name in $(FUZZERS); do \
	    clang -fsanitize=fuzzer,address,undefined -o build-fuzz/$$name build-fuzz/fuzz/$$name.o \
	        $(LIB_OBJECTS:$(BUILD)/%=build-fuzz/%) $(TAKT_LDLIBS) && \
	    mkdir -p build-fuzz/corpus/$$name && \
	    build-fuzz/$$name -max_total_time=$(FUZZ_SECONDS) -timeout=20 -rss_limit_mb=4096 \
	        build-fuzz/corpus/$$name $(corpora) || exit 1; \
	done
fuzz-objects: $(LIB_OBJECTS)
fuzz-replay: $(FUZZERS:%=$(BUILD)/fuzz/%)
	@for name in $(FUZZERS); do $(BUILD)/fuzz/$$name $(corpora) || exit 1; done
$(BUILD)/fuzz/fuzz_%: $(BUILD)/fuzz/fuzz_%.o $(BUILD)/fuzz/replay.o $(LIB_OBJECTS)
	$(LINK) -o $@ $^ $(LDLIBS) $(TAKT_LDLIBS)

bench-peer:
	@$(MAKE) --no-print-directory -s -j2 all
	@sh tools/bench-peer.sh $(PEER_FLAGS)
bench-serve:
	@$(MAKE) --no-print-directory -s -j2 all $(BUILD)/tools/streams
	@sh tools/bench-serve.sh $(SERVE_FLAGS)
golden:
	@$(MAKE) --no-print-directory -s -j2 all $(BUILD)/takt-tests
	@TAKT_UPDATE_GOLDEN=1 $(BUILD)/takt-tests golden
docs: $(BUILD)/takt
	$(BUILD)/takt isa > docs/ISA.md
	$(BUILD)/takt machine > docs/MACHINE.md
format:
	$(CLANG_FORMAT) -i $(FORMATTED)
format-check:
	@$(CLANG_FORMAT) --dry-run -Werror $(FORMATTED)

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/takt $(DESTDIR)$(ETC)/default \
	    $(DESTDIR)$(PREFIX)/share/bash-completion/completions $(DESTDIR)$(PREFIX)/share/man/man1 \
	    $(DESTDIR)$(PREFIX)/lib/systemd/system
	install -m 755 $(BUILD)/takt $(DESTDIR)$(PREFIX)/bin/takt
	install -m 644 $(MODEL) $(DESTDIR)$(PREFIX)/share/takt/
	$(BUILD)/takt completion bash > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/takt
	$(BUILD)/takt help --man > $(DESTDIR)$(PREFIX)/share/man/man1/takt.1
	for name in $$($(BUILD)/takt help --names); do \
	    $(BUILD)/takt help $$name --man > $(DESTDIR)$(PREFIX)/share/man/man1/takt-$$name.1 || exit 1; \
	done
	sed 's|@PREFIX@|$(PREFIX)|g' packaging/takt.service > $(DESTDIR)$(PREFIX)/lib/systemd/system/takt.service
	[ -e $(DESTDIR)$(ETC)/default/takt ] || \
	    sed 's|@PREFIX@|$(PREFIX)|g' packaging/default > $(DESTDIR)$(ETC)/default/takt
deb: all
	@sh packaging/deb.sh $(BUILD)
page:
	@sh tools/setup.sh clients
	@sh tools/page.sh
check-clients:
	@sh tools/setup.sh clients
	@$(MAKE) --no-print-directory -s -j2 all
	@cd tests/clients && npm ci --silent && timeout --kill-after=10 900 node --test --test-concurrency=1 *.test.js
clean:
	rm -rf build build-*

-include $(OBJECTS:.o=.d) $(TEST_OBJECTS:.o=.d) $(TOOLS:=.d)
.PHONY: bench-peer bench-serve all help run test check fuzz fuzz-objects fuzz-replay golden docs format format-check install deb page check-clients clean FORCE
.SECONDARY:
