# A thin front to Meson. Everything that needs packages runs scripts/bootstrap first.
BUILD  ?= build
PREFIX ?= /usr/local
NINJA  := ninja -j$(shell nproc)

.DEFAULT_GOAL := all
.PHONY: all help demo test test-unit test-integration generate manifests lint bench install image clean

all: ## build build/dataflow
	@scripts/bootstrap build
	@test -f $(BUILD)/build.ninja || meson setup $(BUILD) >/dev/null
	@$(NINJA) -C $(BUILD) src/cmd/dataflow | tail -n 1
	@ln -sf src/cmd/dataflow $(BUILD)/dataflow

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: all ## run the earthquakes example: one week of earthquakes from a file into SQLite
	@scripts/demo $(BUILD)/dataflow

test: ## install what the tests need, run all of them
	@scripts/bootstrap build test
	@python3 test/run.py

test-unit: ## unit tests, seconds, no server
	@scripts/bootstrap build test
	@python3 test/run.py unit

test-integration: ## the program end to end: command line, kill -9, faults, failing allocations
	@scripts/bootstrap build test
	@python3 test/run.py cli kill faults torture

generate: all ## write docs/reference from the settings tables
	@$(BUILD)/dataflow generate docs docs/reference
	@$(BUILD)/dataflow generate schema docs/reference

manifests: all ## write config/crd from the settings tables, and from the chart config/install.yaml
	@mkdir -p config
	@$(BUILD)/dataflow generate crd config/crd
	@scripts/manifests

lint: ## clang-format, clang-tidy, include rule
	@scripts/bootstrap build lint
	@scripts/lint $(BUILD)

bench: ## measure speed and memory beside what a user would pick instead
	@scripts/bootstrap build bench
	@python3 bench/run.py

install: ## install to PREFIX (default /usr/local)
	@scripts/bootstrap build
	@test -f build-release/build.ninja || meson setup build-release --buildtype=release -Dtests=disabled --prefix=$(abspath $(PREFIX)) >/dev/null
	@meson configure build-release --prefix=$(abspath $(PREFIX)) >/dev/null
	@$(NINJA) -C build-release >/dev/null
	@DESTDIR=$(DESTDIR) meson install -C build-release --no-rebuild --strip

image: ## make the container image without Docker, in build-image
	@scripts/bootstrap build
	@scripts/image

clean: ## remove all build folders
	@rm -rf build build-*
