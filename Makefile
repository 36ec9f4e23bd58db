# takt: make (build), make run, make test, make check. See README.md.
ifeq ($(origin CC),default)
CC := gcc
endif
BUILD ?= build
OPT ?= -O3
CPPFLAGS += -Iinclude -Isrc -D_GNU_SOURCE
CFLAGS += -std=c11 $(OPT) -g -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes \
          -Wmissing-prototypes -Wvla -Werror -ffp-contract=off -MMD -MP $(EXTRA)
LDLIBS += -lpcre2-8 -ljansson -lcrypto -lm

SOURCES := $(wildcard src/*/*.c)
OBJECTS := $(SOURCES:%.c=$(BUILD)/%.o)
LIB_OBJECTS := $(filter-out $(BUILD)/src/cli/%,$(OBJECTS))
TEST_OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/*.c))

# The groups of the test binary: those below in this order, then any other.
GROUP_ORDER := base model tokenizer isa machine program chip num reference compile run cli
GROUPS := $(shell sed -n 's/^TEST_GROUP(\([a-z0-9_]*\).*/\1/p' $(wildcard tests/test_*.c) /dev/null)
GROUPS := $(filter $(GROUPS),$(GROUP_ORDER)) $(filter-out $(GROUP_ORDER),$(GROUPS))

all: $(BUILD)/takt
$(BUILD)/takt: $(OBJECTS)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)
$(BUILD)/takt-tests: $(LIB_OBJECTS) $(TEST_OBJECTS)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lcmocka
$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<
$(BUILD)/tests/groups.h: FORCE
	@mkdir -p $(@D)
	@for group in $(GROUPS); do echo "TESTS_GROUP($$group)"; done > $@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi
$(BUILD)/tests/main.o: $(BUILD)/tests/groups.h
$(BUILD)/tests/%.o: CPPFLAGS += -I$(BUILD) -Itests
FORCE:
-include $(OBJECTS:.o=.d) $(TEST_OBJECTS:.o=.d)
.PHONY: all FORCE
