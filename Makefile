# PGXS build of citadel_opt and its companion citadel_tasks.
#   make [PG_CONFIG=/path/to/pg_config] [WERROR=1]     build
#   make install | unit | installcheck
# meson.build reads the same lists: src/sql_parts, src/tasks_sql_parts, test/regress_schedule.

# PGXS has a VERSION of its own: the server's.
EXTENSION_VERSION := $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" citadel_opt.control)
MODULE_big = citadel_opt
EXTENSION = citadel_opt $(basename $(wildcard citadel_tasks.control))

SOURCES = $(wildcard src/*.cpp src/*/*.cpp)
OBJS = $(SOURCES:.cpp=.o)
# Server-free sources: everything but the door, the wiring and what stands beside it as *_pg.cpp.
PLAIN_SOURCES = $(filter-out src/citadel_opt.cpp src/pg/% %_pg.cpp, $(SOURCES))

# Steps from one version to the next: src/upgrade/README.md.
DATA = $(wildcard src/upgrade/citadel_*--*--*.sql)
DATA_built = citadel_opt--$(EXTENSION_VERSION).sql $(if $(wildcard citadel_tasks.control),citadel_tasks--$(EXTENSION_VERSION).sql)

# `make installcheck` needs a running server set up as test/regress.conf says; scripts/check starts one itself.
REGRESS = $(shell sed -n 's/^test: *//p' test/regress_schedule)
REGRESS_OPTS = --inputdir=.
EXTRA_CLEAN = $(SOURCES:.cpp=.d) $(SOURCES:.cpp=.bc) build results tmp_check

COMMON_FLAGS = -std=c++20 -Isrc -Wall -Wextra -Wno-register $(if $(WERROR),-Werror)
# The server's flags are those of the compiler that built it; clang need not know them all. OPTIMIZE: flags of your own.
PG_CXXFLAGS = $(COMMON_FLAGS) $(if $(findstring clang,$(CXX)),-Wno-unknown-warning-option) -MMD -MP $(OPTIMIZE)
SHLIB_LINK = -lstdc++ -lzstd -Wl,--version-script=exports.map

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

# The server's own headers do not survive -Wextra as C++; -isystem silences them, not us.
override CPPFLAGS := $(patsubst -I$(includedir_server),-isystem $(includedir_server),$(CPPFLAGS))
# PGXS compiles bitcode without PG_CXXFLAGS, and clang 14 would default to C++14.
COMPILE.cxx.bc += $(filter-out -Werror,$(COMMON_FLAGS))

# Bitcode has no dependency files of its own: it is as old as its object.
$(SOURCES:.cpp=.bc): %.bc: %.o

$(shlib): exports.map

citadel_opt--$(EXTENSION_VERSION).sql: src/sql_parts $(shell cat src/sql_parts)
	cat $$(cat src/sql_parts) > $@

ifneq ($(wildcard citadel_tasks.control),)
citadel_tasks--$(EXTENSION_VERSION).sql: src/tasks_sql_parts $(shell cat src/tasks_sql_parts)
	cat $$(cat src/tasks_sql_parts) > $@
endif

-include $(SOURCES:.cpp=.d)

# Unit tests of the server-free code. SANITIZE=1: with clang's sanitizers and line counts, in a folder of its own
# (clang at -O0 compiles that quicker than g++ compiles the plain form).
UNIT_FOLDER = build/$(if $(SANITIZE),unit-sanitized,unit)
UNIT_SOURCES = $(wildcard test/unit/*_test.cpp)
UNIT_OBJECTS = $(patsubst %.cpp,$(UNIT_FOLDER)/%.o,$(UNIT_SOURCES) $(PLAIN_SOURCES))
UNIT_CXX = $(if $(SANITIZE),$(or $(CLANGXX),clang++),$(CXX))
UNIT_SANITIZERS = -fsanitize=address,undefined -fno-sanitize-recover=all
UNIT_CXXFLAGS = -std=c++20 -Isrc -Wall -Wextra $(if $(WERROR),-Werror) -MMD -MP \
                $(if $(SANITIZE),-O0 -g1 $(UNIT_SANITIZERS) -fsanitize=fuzzer-no-link,-O1 -g)

$(UNIT_FOLDER)/%.o: %.cpp
	@mkdir -p $(@D)
	$(UNIT_CXX) $(UNIT_CXXFLAGS) $(if $(SANITIZE),$(if $(filter src/%,$<),--coverage)) -c -o $@ $<

$(UNIT_FOLDER)/run: $(UNIT_OBJECTS)
	@mkdir -p $(@D)
	$(UNIT_CXX) $(if $(SANITIZE),$(UNIT_SANITIZERS) --coverage) -o $@ $^ -lgtest -lgtest_main -lpthread -lzstd

.PHONY: unit
unit: $(UNIT_FOLDER)/run
	$(if $(SANITIZE),@find $(UNIT_FOLDER) -name '*.gcda' -delete)
	$(UNIT_FOLDER)/run

-include $(UNIT_OBJECTS:.o=.d)

# Fuzz targets over the same sanitized objects: `make SANITIZE=1 fuzz`, run by `scripts/check --suite fuzz`.
FUZZ_OBJECTS = $(patsubst %.cpp,$(UNIT_FOLDER)/%.o,$(wildcard test/fuzz/*_fuzz.cpp))
FUZZ_PROGRAMS = $(FUZZ_OBJECTS:$(UNIT_FOLDER)/test/fuzz/%_fuzz.o=$(UNIT_FOLDER)/fuzz/%)

$(UNIT_FOLDER)/fuzz/%: $(UNIT_FOLDER)/test/fuzz/%_fuzz.o $(filter $(UNIT_FOLDER)/src/%,$(UNIT_OBJECTS))
	@mkdir -p $(@D)
	$(UNIT_CXX) $(UNIT_SANITIZERS) -fsanitize=fuzzer --coverage -o $@ $^ -lzstd

.PHONY: fuzz
.SECONDARY: $(FUZZ_OBJECTS)
fuzz: $(FUZZ_PROGRAMS)

-include $(FUZZ_OBJECTS:.o=.d)

# A library of its own that probes the door from SQL (regression test `door`). Never part of `install`.
DOOR_OBJECTS = src/text/version.o $(filter-out src/pg/functions_pg.o, $(filter src/pg/%.o, $(OBJS)))
TEST_MODULE = build/test/citadel_test$(DLSUFFIX)

# bench/advisor calls the what-if engine in a loop.
WHAT_IF_OBJECTS = $(filter src/advisor/index_%.o, $(OBJS)) \
                  $(addprefix src/advisor/, access_paths_pg.o gin_size.o key_frequency.o statement_pg.o what_if_pg.o table_sample_pg.o expression_statistics_pg.o expressions_pg.o existing_indexes_pg.o) \
                  src/capture/lexer.o $(filter src/settings/%.o, $(OBJS))
TEST_OBJECTS = build/test/citadel_test.o build/test/what_if_loop.o build/test/simulated_load.o

build/test/%.o: test/modules/%.cpp
	@mkdir -p $(@D)
	$(COMPILE.cc) $(CXXFLAGS_SL) -o $@ $<

# test/tap/357_quiet_days.pl writes into the shared memory of the fast path.
LOAD_OBJECTS = $(addprefix src/capture/, statement_table.o latency_histogram.o)

$(TEST_MODULE): $(TEST_OBJECTS) $(DOOR_OBJECTS) $(WHAT_IF_OBJECTS) $(LOAD_OBJECTS) exports.map
	$(CC) $(CFLAGS) $(filter %.o,$^) -o $@ $(LDFLAGS) $(LDFLAGS_SL) -shared $(SHLIB_LINK)

.PHONY: test-modules install-test-modules
test-modules: $(TEST_MODULE)

# Scripts of an older version, for test/tap/510_upgrade.pl.
build/test/upgrade/made: test/upgrade/make_older.py $(DATA_built)
	python3 test/upgrade/make_older.py $(EXTENSION_VERSION) $(@D)
	@touch $@

install-test-modules: $(TEST_MODULE) build/test/upgrade/made
	$(MKDIR_P) '$(DESTDIR)$(pkglibdir)'
	$(INSTALL_SHLIB) $(TEST_MODULE) '$(DESTDIR)$(pkglibdir)/'
	$(INSTALL_DATA) build/test/upgrade/*.sql $(wildcard test/upgrade/citadel_*--*.sql) '$(DESTDIR)$(datadir)/extension/'

-include $(TEST_OBJECTS:.o=.d)
