# What to type: `make`, `make demo`, `make test`, `make check`, `make bench`, `make install`.

CARGO ?= cargo
PREFIX ?= /usr/local
bindir ?= $(PREFIX)/bin
libdir ?= $(PREFIX)/lib
includedir ?= $(PREFIX)/include
target := $(or $(CARGO_TARGET_DIR),target)

# Debian packages that the tests need beside Rust.
test_packages := gcc g++ make gdb binutils elfutils lua5.4 gawk bc sqlite3 perl python3 tmux strace \
	xz-utils zstd libsqlite3-dev python3-numpy libopenblas0-pthread nodejs default-jdk-headless \
	redis-server memcached nginx-light lighttpd gzip tar openssl vim less sbcl valgrind bindfs

artefacts := --package libckpt --package restorer
unit_tested := --package ckpt-image --package ckpt-sys --package restorer

.PHONY: all debug test test-debug test-release check lint demo bench bench-criu soak test-deps install clean

# The two artefacts: $(target)/release/libckpt.so and $(target)/release/restorer.
all:
	$(CARGO) build --release $(artefacts)

debug:
	$(CARGO) build $(artefacts)

# Everything is built before, since the tests run the artefacts of their own profile. The tests of whole programs come
# last, and in a run of their own.
test: test-debug test-release

# What tests the artefacts need not be optimised as they are: that takes minutes.
test_release := CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_OPT_LEVEL=1 $(CARGO) test --release --package ckpt-tests

# Real programs, and what waits for long, run with what users run. The debug build is for the checks in our own code, which the
# small programs reach as well.
only_in_release := real_programs servers terminals threaded_programs waits warm_starts
suites := $(patsubst tests/tests/%.rs,%,$(wildcard tests/tests/*.rs))

test-debug: debug
	$(CARGO) build --package ckpt-rust-threads
	$(CARGO) test $(unit_tested)
	CKPT_TEST_GENERATIONS=$(or $(CKPT_TEST_GENERATIONS),2) \
		$(CARGO) test --package ckpt-tests --lib --bins $(addprefix --test ,$(filter-out $(only_in_release),$(suites)))

# One round of each real program: `make soak` does many.
test-release: all
	$(CARGO) build --release --package ckpt-rust-threads
	$(CARGO) test --release $(unit_tested)
	CKPT_TEST_ROUNDS=$(or $(CKPT_TEST_ROUNDS),1) $(test_release)

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --document-private-items

check:
	$(MAKE) lint
	$(MAKE) test

demo: all
	tests/demo.sh

run_bench := CARGO_PROFILE_RELEASE_LTO=off $(CARGO) run --release --quiet --package ckpt-tests --bin bench --

# A few minutes and some 8 GiB of memory and disk; BENCH="16 256" (sizes in MiB) or BENCH="pause writing" (parts of it) is
# quicker.
bench: all
	$(run_bench) $(BENCH)

# The same beside CRIU, which comes with a Debian of its own (some 200 MB): the one that runs on present kernels. As root.
criu_root := $(abspath $(target))/criu
bench-criu: all $(criu_root)/usr/sbin/criu
	CKPT_BENCH_CRIU=$(criu_root) $(run_bench) criu $(BENCH)

$(criu_root)/usr/sbin/criu:
	debootstrap --variant=minbase --include=criu trixie $(criu_root)

# Long: hundreds of rounds of random moments, with more to do than there are cores. `make soak ROUNDS=20 GENERATIONS=3` is
# shorter.
ROUNDS ?= 200
GENERATIONS ?= 5
soak_test = CKPT_TEST_ROUNDS=$(ROUNDS) CKPT_TEST_GENERATIONS=$(GENERATIONS) \
	$(test_release) --test

soak: all
	busy=; trap 'kill $$busy' EXIT; \
	for core in $$(seq $$(nproc)); do (while :; do :; done) & busy="$$busy $$!"; done; \
	$(test_release) --test generations -- --include-ignored && \
	$(soak_test) real_programs -- --exact python3 perl bash && \
	$(soak_test) threaded_programs -- --exact python3_with_a_thread_pool numpy_on_openblas node xz zstd \
	cpp_with_exceptions_in_flight openmp rust_on_rayon java_with_another_signal_for_checkpoints && \
	$(soak_test) servers -- --exact redis_server

test-deps:
	apt-get update
	DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-upgrade --no-install-recommends $(test_packages)

# A package builder runs `make` before, as himself.
install: $(target)/release/restorer $(target)/release/libckpt.so
	install -D -m 755 $(target)/release/restorer $(DESTDIR)$(bindir)/restorer
	install -D -m 644 $(target)/release/libckpt.so $(DESTDIR)$(libdir)/libckpt.so
	install -D -m 644 libckpt/ckpt.h $(DESTDIR)$(includedir)/ckpt.h

$(target)/release/restorer $(target)/release/libckpt.so &:
	$(MAKE) all

clean:
	$(CARGO) clean
