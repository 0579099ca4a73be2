# The commands of this repository; `make` alone lists them.

.DEFAULT_GOAL := help
.PHONY: help demo check audit test bench dist

# Set these to run less or more: `make test SETUP=: CONTAINER_TESTS=:` is Rust alone, and
# `make bench BENCH_FLAGS=--write` renews docs/benchmarks.md.
SETUP           ?= scripts/setup-tests.sh
TEST_FLAGS      ?=
# For how long the tests keep stdout blocked. `cargo test` by itself does so for two seconds.
BLOCKED_SECS    ?= 60
# For how long the tests keep a database away; 300 is an outage as platforms see it.
OUTAGE_SECS     ?= 20
BENCH_FLAGS     ?=
CONTAINER_TESTS ?= RUNMATE_BIN=$(TARGET_DIR)/$(HOST)/release/runmate \
                   cargo test --locked -p runmate --test docker -- --test-threads=1

# The target is named, so that the place of the binaries is known.
HOST       = $(shell rustc -vV | sed -n 's/^host: //p')
TARGET_DIR = $(or $(CARGO_TARGET_DIR),target)
RELEASE    = cargo build --locked --release --target $(HOST) --target-dir $(TARGET_DIR) -p runmate

help: ## This list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## A small app with a task and a sidecar, in the foreground; needs Rust and a C compiler
	@examples/quickstart/demo.sh

check: ## Formatting, clippy and rustdoc, warnings being errors
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --workspace --no-deps

audit: ## Licences, sources and banned crates of the dependency tree
	scripts/audit.sh

test: ## All tests, those in containers included
	$(SETUP)
	RUNMATE_TEST_BLOCKED_SECS=$(BLOCKED_SECS) RUNMATE_TEST_OUTAGE_SECS=$(OUTAGE_SECS) cargo test --locked --workspace $(TEST_FLAGS)
	$(RELEASE)
	$(CONTAINER_TESTS)

bench: ## The benchmarks, side by side with other supervisors
	$(SETUP) bench
	cargo bench --locked -p runmate --bench peers -- $(BENCH_FLAGS)

dist: ## The release binary, one static file, in dist/runmate
	$(RELEASE)
	@mkdir -p dist
	@cp $(TARGET_DIR)/$(HOST)/release/runmate dist/runmate
	@wc -c < dist/runmate | awk '{ printf "dist/runmate: %d bytes (%.2f MiB)\n", $$1, $$1 / 1048576 }'
