# All checks and builds. `make` lists the steps. Each step prints its commands and sets up what it needs (into .venv/,
# node_modules/ or .work/, or with apt), unless it is there already.

.DEFAULT_GOAL := help
SHELL := /bin/sh
.DELETE_ON_ERROR:

PEERS := crates/checks/peers
CLIENT := clients/js

# The programs in Go, Java and Rust need many packages: `make test` gets those in continuous integration alone.
SDKS_STEP := $(if $(filter true,$(CI)),sdks)

# Fast first.
STEPS := fmt clippy lint features msrv tidy unit js doctest doc deny corpus core stores conformance-groups e2e $(SDKS_STEP) faults bench-smoke

# What needs cargo and crates alone: no apt, no Node, no Python.
CHECK_STEPS := fmt clippy tidy unit doctest

# Seconds per target.
FUZZ_SECONDS ?= 60

# Of `make simulate`.
SEEDS ?= 10000

# Of `make crashes`.
KILLS ?= 100

.PHONY: help check test $(STEPS) sdks simulate crashes differential conformance fuzz perf polling hub-bench bench bench-peers peers sdk-programs client autobahn chromium firefox proxies iproute2 valgrind redis clean

help: ## List the steps.
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-20s %s\n", $$1, $$2 }' Makefile

check: ## Run what needs only cargo, in a few minutes: formatting, clippy, rules, unit tests, doctests.
	@set -e; for step in $(CHECK_STEPS); do $(MAKE) --no-print-directory $$step; done

test: ## Run every check, fast ones first: what has to pass before a change is merged.
	@set -e; for step in $(STEPS); do \
	  printf '\n=== make %s\n' $$step; start=$$(date +%s); \
	  $(MAKE) --no-print-directory $$step; \
	  printf '=== make %s: %s s\n' $$step $$(($$(date +%s) - start)); \
	done
	@[ ! -e $(NO_AUTOBAHN) ] || { printf '=== not checked, the Autobahn test suite: '; cat $(NO_AUTOBAHN); }
	@[ -n "$(SDKS_STEP)" ] || echo '=== not checked, the SDKs: make sdks tests them, and make test does with CI=true'
	@for reason in $(if $(SDKS_STEP),$(SDKS)/no-*); do \
	  [ ! -e $$reason ] || { printf '=== not checked, an SDK: '; cat $$reason; }; \
	done

# ---- Rust -------------------------------------------------------------------------------------------------

# Always the whole workspace: another choice of packages would turn on other features and build it all again.
ifneq ($(shell command -v cargo-nextest),)
unit_tests  = cargo nextest run --workspace -E 'not (package(sockeye-checks) & kind(test))'
check_tests = cargo nextest run --workspace --test $(1) --no-tests pass --no-fail-fast
long_tests  = cargo nextest run --workspace --test $(1) --run-ignored only --no-capture --no-fail-fast
else
own_crates := proto sockeye hub server
own_tests   = $(basename $(notdir $(wildcard $(own_crates:%=crates/%/tests/*.rs)))) \
              $(notdir $(patsubst %/main.rs,%,$(wildcard $(own_crates:%=crates/%/tests/*/main.rs))))
unit_tests  = cargo test --workspace --lib --bins $(addprefix --test ,$(sort $(own_tests)))
check_tests = cargo test --workspace --test $(1)
long_tests  = cargo test --workspace --test $(1) -- --ignored --nocapture --test-threads 1
endif

fmt: ## Check the formatting.
	cargo fmt --all --check
	cargo fmt --manifest-path fuzz/Cargo.toml --all --check
	cargo fmt --manifest-path benches/core/Cargo.toml --check
	cargo fmt --manifest-path crates/checks/peers/rust/Cargo.toml --check
	cargo fmt --manifest-path benches/Cargo.toml --all --check

clippy: ## Run clippy on the workspace.
	cargo clippy --workspace --all-targets -- -D warnings

lint: ## Run clippy on the benchmarks, and on the protocol with each choice of its features.
	cargo clippy -p sockeye-proto --no-default-features -- -D warnings
	cargo clippy -p sockeye-proto --no-default-features --features deflate -- -D warnings
	cargo clippy -p sockeye-proto --no-default-features --features std --all-targets -- -D warnings
	cargo clippy --manifest-path benches/Cargo.toml $(bench_own) --all-targets -- -D warnings

CARGO_HACK := $(or $(shell command -v cargo-hack),.work/bin/cargo-hack)

# `ring`, `native-roots` and `rustls` are what `tls` consists of, and AWS-LC takes minutes to compile.
features: $(CARGO_HACK) ## Run clippy on crate `sockeye` with each feature, each two features and without any; test a client without TLS.
	@[ ! -e $(CARGO_HACK) ] || { set -x; $(CARGO_HACK) hack clippy -p sockeye --feature-powerset --depth 2 --exclude-features default,aws-lc-rs,ring,native-roots,rustls --group-features stream,json -- -D warnings; }
	cargo clippy -p sockeye --no-default-features --features client,rustls -- -D warnings
	cargo clippy -p sockeye --no-default-features --features server,ring,http2 -- -D warnings
	cargo test -p sockeye --no-default-features --features client --test without_tls

.work/bin/cargo-hack:
	cargo install cargo-hack --locked --debug --root .work || { $(call unavailable,cargo-hack); }

MSRV := $(shell sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)

msrv: ## Compile all crates that are published with the oldest Rust that Cargo.toml promises, if rustup can get it.
	@if command -v rustup > /dev/null && rustup toolchain install $(MSRV) --profile minimal --no-self-update; then \
	  set -x; cargo +$(MSRV) check -p sockeye-proto -p sockeye -p sockeye-hub -p sockeye-server; \
	else echo 'make: rustup cannot get Rust $(MSRV) on this machine: what the oldest Rust makes of it is not checked'; fi

tidy: ## Check the rules about the tree: file sizes, module docs, names, dead files.
	$(call check_tests,tidy)

unit: ## Run unit, property and RFC tests; those of the protocol also without deflate.
	$(unit_tests)
	cargo test -p sockeye-proto --no-default-features --features std --lib --tests

js: client ## Check the client for browsers: types, lint, tests, build, and the package.
	@[ ! -e $(CLIENT)/node_modules/ready ] || { set -x; cd $(CLIENT) && npm run --silent check; }

doctest: ## Run the examples in the documentation.
	cargo test --workspace --doc

doc: ## Build the documentation; a broken link is an error.
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps

CARGO_DENY := $(or $(shell command -v cargo-deny),.work/bin/cargo-deny)

deny: $(CARGO_DENY) ## Check the dependencies: licences, sources, duplicates.
	$(CARGO_DENY) check licenses bans sources
	@echo 'Security advisories are not checked here, because that needs the network. By hand: cargo deny check advisories'

.work/bin/cargo-deny:
	cargo install cargo-deny --locked --debug --root .work || { $(call unavailable,cargo-deny); }

corpus: ## Replay what the fuzzers have found.
	$(call check_tests,fuzz_corpus)

core: valgrind ## Count the instructions of the protocol core for short messages, the same on every processor.
	$(call check_tests,core)

stores: redis ## Test the stores: files, and a real Redis that is killed and restarted.
	cargo build --workspace
	$(call check_tests,stores)

fuzz: .work/bin/cargo-fuzz ## Fuzz each target for FUZZ_SECONDS (60).
	@set -ex; for target in fuzz/fuzz_targets/*.rs; do \
	  PATH="$$PWD/.work/bin:$$PATH" RUSTC_BOOTSTRAP=1 cargo fuzz run --sanitizer none \
	    "$$(basename "$$target" .rs)" -- -max_total_time=$(FUZZ_SECONDS); \
	done

.work/bin/cargo-fuzz:
	cargo install cargo-fuzz --locked --debug --root .work || { $(call unavailable,cargo-fuzz); }

# Built outside the tree's crates, like every other tool, so that the tree has nothing of it.
CENTRIFUGO := github.com/centrifugal/centrifugo/v6@v6.9.1

GO := $(shell command -v go)

differential: $(if $(GO),.work/bin/centrifugo) ## Compare the hub with the real server (Centrifugo, which needs Go), exchange by exchange.
ifneq ($(GO),)
	cargo build --workspace
	$(call long_tests,differential)
else
	@echo 'make: there is no Go on this machine, and the real server is built with it: the hub is not compared with that'
endif

.work/bin/centrifugo:
	GOBIN="$$PWD/.work/bin" go install $(CENTRIFUGO)

conformance: autobahn peers ## Run all 517 cases of the Autobahn test suite, both roles (ten minutes).
	cargo build --workspace
	CHECKS_CASES=all $(call long_tests,autobahn)

conformance-groups: autobahn peers ## Run them with five of eighteen message sizes in 12.* and 13.*.
	cargo build --workspace
	$(call long_tests,autobahn)

e2e: peers client chromium firefox proxies ## Test the real binary with browsers, Node, Python, curl, proxies, and two thousand clients.
	cargo build --workspace
	$(call check_tests,e2e)
	$(call check_tests,herd)
	$(call check_tests,hub_storm)
	@[ ! -e $(CLIENT)/node_modules/ready ] || { set -x; cd $(CLIENT) && npm run --silent build && npm run --silent e2e; }

sdks: peers chromium sdk-programs ## Test the hub with the SDKs for JavaScript (Node, Chromium), Python, Go, Java and Rust.
	cargo build --workspace
	$(call check_tests,sdks)

faults: iproute2 client ## Kill and stop processes, drop packets, make clocks jump (as root, for network namespaces).
	cargo build --workspace
	$(call check_tests,faults)

simulate: ## Run SEEDS (10000) random stories of the log on a disk that fails, and of clients of maps; SEED=7 runs one.
	SEEDS=$(SEEDS) cargo test --workspace --lib log::tests::simulation::many_seeds -- --ignored --nocapture
	SEEDS=$(SEEDS) cargo test --workspace --test node map_simulation::many_seeds -- --ignored --nocapture

crashes: peers ## Kill the server KILLS (100) times while it is published to, with a subscriber that recovers.
	cargo build --workspace
	KILLS=$(KILLS) cargo test --workspace --test e2e hub_crashes -- --nocapture --test-threads 1

# ---- Measurements -----------------------------------------------------------------------------------------

perf: valgrind ## Compare instructions with other libraries, and unmasking with memcpy, on this processor (minutes).
	$(call long_tests,perf)

polling: ## Measure polling and long polling against WebSocket, and write docs/polling.md (a minute).
	cargo run --release --manifest-path benches/polling/Cargo.toml -- --into docs

hub-bench: redis .work/bin/centrifugo .work/bin/nats-server ## Measure the hub and its log beside Centrifugo, NATS and Redis, into docs/hub-benchmarks.md (half an hour).
	cargo build --release -p sockeye-server
	cargo build --release --manifest-path benches/Cargo.toml -p bench-hub
	@set -ex; for part in log-start durable fan-out; do benches/target/release/hub --page docs/hub-benchmarks.md $$part; done

# Debian's is older than the setting that syncs always.
.work/bin/nats-server:
	GOBIN="$$PWD/.work/bin" go install github.com/nats-io/nats-server/v2@v2.10.29

# Without the other servers, which have some two hundred dependencies. `make bench` builds them.
bench_own = -p bench-load -p bench-run -p bench-hub -p bench-door -p peer-raw-epoll -p peer-raw-tokio -p peer-sockeye

bench-smoke: ## Run each kind of measurement for a moment, and check the replies; no figures.
	cargo build --manifest-path benches/Cargo.toml $(bench_own)
	cargo test --manifest-path benches/Cargo.toml -p bench-load -p bench-run -p bench-hub --lib
	benches/target/debug/run smoke

bench: bench-peers ## Compare with other servers, into docs/ (an hour; QUICK=1: minutes, to the terminal). Continues where it stopped.
	cargo build --release --manifest-path benches/Cargo.toml -p bench-run
	benches/target/release/run $(if $(QUICK),quick,full) $(BENCH_FLAGS)

bench-peers: ## Set up what the benchmarks need: a C++ compiler, headers of OpenSSL and zlib, valgrind, strace.
	@command -v c++ > /dev/null && command -v valgrind > /dev/null && command -v strace > /dev/null && \
	  printf '\043include <openssl/ssl.h>\n\043include <zlib.h>\n' | c++ -E -x c++ - > /dev/null 2>&1 || \
	{ set -x; $(call apt,g++ libssl-dev zlib1g-dev valgrind strace); } || { $(call unavailable,a peer of the benchmarks); }

# ---- Tools that the checks need ---------------------------------------------------------------------------

# Without the tool the check is skipped. In continuous integration (CI=true) that is a failure: a skipped check proves nothing.
unavailable = { set +x; } 2> /dev/null; echo "make: $(1) could not be set up on this machine: what needs it $(if $(filter true,$(CI)),fails,is skipped)"; [ "$$CI" != true ]

# A person is asked before anything is installed with sudo, which may then ask for a password. Continuous integration, and
# whoever has no terminal, is not asked.
PERSON := $(shell [ "$$CI" != true ] && [ -t 0 ] && [ "$$(id -u)" != 0 ] && echo yes)
SUDO := $(if $(filter 0,$(shell id -u)),,sudo$(if $(PERSON),, -n))
agree = $(if $(PERSON),{ printf 'make: install %s with apt? [y/N] ' '$(1)'; read -r answer && [ "$$answer" = y ]; } &&)
apt = command -v apt-get > /dev/null && $(call agree,$(1)) $(SUDO) apt-get -q -o DPkg::Lock::Timeout=600 update && \
	DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get -q -o DPkg::Lock::Timeout=600 install -y --no-install-recommends $(1)

venv = { python3 -m venv $(1) || { $(call apt,python3-venv) && python3 -m venv $(1); }; }
pip = $(1)/bin/python -m pip --disable-pip-version-check --quiet install

peers: .venv/peers/ready $(PEERS)/node_modules/ready ## Set up the Node and Python packages for tests.

.venv/peers/ready: $(PEERS)/requirements.txt
	@{ set -x; $(call venv,.venv/peers) && $(call pip,.venv/peers) -r $< && touch $@; } || { $(call unavailable,Python with $<); }

$(PEERS)/node_modules/ready: $(PEERS)/package-lock.json
	@{ set -x; (cd $(PEERS) && npm ci --ignore-scripts --no-audit --no-fund) && touch $@; } || { $(call unavailable,Node with $<); }

SDKS := .work/sdks

sdk-programs: $(SDKS)/go/ready $(SDKS)/java/ready $(SDKS)/rust/ready ## Build the programs in Go, Java and Rust that use the hub's SDKs.

# Only who has the language tests its SDK. A program that can't be built fails in continuous integration.
left_out = { mkdir -p $(SDKS) && echo '$(1) is not on this machine' | tee $(SDKS)/no-$(2); }

$(SDKS)/go/ready: $(PEERS)/go/main.go $(PEERS)/go/go.sum
	@rm -f $(SDKS)/no-go; command -v go > /dev/null || { $(call left_out,Go,go); exit 0; }; \
	{ set -x; (cd $(PEERS)/go && go build -o $(CURDIR)/$(SDKS)/go/sdk .) && touch $@; } || { $(call unavailable,the SDK for Go); }

# Maven writes where the packages are.
$(SDKS)/java/ready: $(wildcard $(PEERS)/java/src/main/java/*.java) $(PEERS)/java/pom.xml
	@rm -f $(SDKS)/no-java; { command -v javac && command -v mvn; } > /dev/null || { $(call left_out,Java with Maven,java); exit 0; }; \
	{ set -x; mvn -q -B -f $(PEERS)/java/pom.xml compile dependency:build-classpath -Dmdep.outputFile=$(CURDIR)/$(SDKS)/java/classpath && \
	touch $@; } || { $(call unavailable,the SDK for Java); }

$(SDKS)/rust/ready: $(PEERS)/rust/src/sdk.rs $(PEERS)/rust/Cargo.lock
	@{ set -x; cargo build --locked --manifest-path $(PEERS)/rust/Cargo.toml --target-dir $(SDKS)/rust && touch $@; } || \
	{ $(call unavailable,the SDK for Rust); }

client: $(CLIENT)/node_modules/ready ## Set up the packages to build and test the client for browsers.

$(CLIENT)/node_modules/ready: $(CLIENT)/package-lock.json
	@{ set -x; (cd $(CLIENT) && npm ci --ignore-scripts --no-audit --no-fund) && touch $@; } || { $(call unavailable,Node with $<); }

autobahn: .venv/autobahn/ready ## Set up the Autobahn test suite, which needs Python 2.7.

# The reason why the Autobahn test suite can't be set up. Current distributions have no Python 2.7. Without it `make test` skips
# the suite, and says so at its end.
NO_AUTOBAHN := .venv/no-autobahn

# Looks for Python 2.7 as `python2.7`, in pyenv (whose shim `python2.7` may exist and not work), and with apt.
# virtualenv 20.21 is the last version that supports Python 2.7.
.venv/autobahn/ready: $(PEERS)/autobahn.txt
	@rm -f $(NO_AUTOBAHN); python=''; \
	find_python() { \
	  for candidate in python2.7 "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/2.7*/bin/python2.7; do \
	    if [ -z "$$python" ] && "$$candidate" -c '' 2> /dev/null; then python="$$candidate"; fi; \
	  done; \
	}; \
	find_python; \
	if [ -z "$$python" ]; then { set -x; $(call apt,python2.7 python2.7-dev gcc); }; { set +x; } 2> /dev/null; find_python; fi; \
	if [ -z "$$python" ]; then \
	  mkdir -p .venv; \
	  echo 'no Python 2.7 on this machine and none from apt; with one in PATH or in pyenv (pyenv install 2.7.18) it runs' | tee $(NO_AUTOBAHN); \
	else { set -x; \
	  $(call venv,.venv/virtualenv) && $(call pip,.venv/virtualenv) 'virtualenv==20.21.1' && \
	  .venv/virtualenv/bin/virtualenv --quiet --clear --python "$$(command -v "$$python")" .venv/autobahn && \
	  $(call pip,.venv/autobahn) -r $< && touch $@; \
	} || { $(call unavailable,the Autobahn test suite on Python 2.7); }; fi

chromium: ## Set up Chromium, if it is missing.
	@command -v chromium || command -v chromium-browser || command -v google-chrome || command -v google-chrome-stable || \
	{ set -x; $(call apt,chromium); } || { $(call unavailable,Chromium); }

firefox: ## Set up Firefox, if it is missing.
	@command -v firefox-esr || command -v firefox || \
	{ set -x; $(call apt,firefox-esr); } || { $(call unavailable,Firefox); }

iproute2: ## Set up `ip`, for network namespaces, if it is missing.
	@command -v ip || { set -x; $(call apt,iproute2); } || { $(call unavailable,ip); }

proxies: ## Set up nginx and HAProxy, if they are missing.
	@{ command -v nginx || test -x /usr/sbin/nginx; } && { command -v haproxy || test -x /usr/sbin/haproxy; } || \
	{ set -x; $(call apt,nginx-light haproxy); } || { $(call unavailable,nginx or HAProxy); }

valgrind: ## Set up valgrind, which counts instructions, if it is missing.
	@command -v valgrind || { set -x; $(call apt,valgrind); } || { $(call unavailable,valgrind); }

redis: ## Set up redis-server, if it is missing. Only the tests start it.
	@command -v redis-server || command -v valkey-server || \
	{ set -x; $(call apt,redis-server); } || { $(call unavailable,redis-server); }

clean: ## Remove everything that was built or set up here.
	cargo clean
	rm -rf .venv .work $(PEERS)/node_modules $(CLIENT)/node_modules $(CLIENT)/dist benches/target benches/peers/npm-ws/node_modules
