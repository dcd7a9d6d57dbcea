# Two commands do everything: `make run` and `make test`. Both set up first what is missing; `make help` lists the rest.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

BIND ?= 127.0.0.1
PORT ?= 8000
PYTHON ?=
PYTHONS ?=
UPGRADE ?=
WRITE ?=
EXAMPLES ?= 300
COUNT ?= 110
ROUNDS ?= 20
SECONDS_EACH ?= 60
SEED ?=
ONLY ?=
QUESTION ?=
SYSTEMS ?=
REPEAT ?= 5
PUBLISH ?=
WAITING ?=

# Another directory here and another PYTHON, and every command is for that one: make test-relay VENV=.make/python3.13 PYTHON=python3.13
VENV ?= .venv
BIN := $(VENV)/bin
# Stamps lie inside what they stand for, so removing a directory is enough to have it made again.
PYTHON_READY := $(VENV)/ready
CLIENT_READY := mobile/node_modules/.ready

.PHONY: help
help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1|\2/' | column -t -s '|'

# -- set-up ----------------------------------------------------------------------------------------------------------

.PHONY: setup
setup: $(PYTHON_READY) $(CLIENT_READY) ## install what the other commands need (done once, and again when a lock file changes)

$(PYTHON_READY): requirements.lock pyproject.toml scripts/make_venv.sh
	@PYTHON="$(PYTHON)" VENV="$(VENV)" scripts/make_venv.sh
	@echo "Installing the relay's packages, each checked against its hash in requirements.lock ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
	@echo "The relay is installed."

$(CLIENT_READY): mobile/package.json mobile/package-lock.json mobile/.npmrc scripts/check_node.sh
	@scripts/check_node.sh
	@echo "Installing the client's packages (a few minutes the first time) ..."
	@# Nothing that is installed may run, but for the one package that is compiled here.
	@cd mobile && CI=1 npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@cd mobile && CI=1 npm rebuild --ignore-scripts=false --foreground-scripts=false --loglevel=error better-sqlite3-multiple-ciphers
	@touch $@
	@echo "The client is installed."

.PHONY: setup-calls
setup-calls: ## install coturn and espeak-ng (Debian packages), which the tests of calls need
	@scripts/check_packages.sh "tests of calls" turnserver:coturn espeak-ng:espeak-ng

.PHONY: setup-operator
setup-operator: ## install Chromium, nginx, Caddy, tor, systemd and ip (Debian packages), which tests of the invite page, of deploy/ and of cut cables run
	@scripts/check_packages.sh "some tests are left out" chromium:chromium nginx:nginx-light caddy:caddy tor:tor systemd-analyze:systemd ip:iproute2 || true

# -- use -------------------------------------------------------------------------------------------------------------

.PHONY: run
run: $(PYTHON_READY) ## start a relay here and show an invite (PORT=8000 BIND=127.0.0.1)
	@exec $(BIN)/python -m relay.try_out --bind $(BIND) --port $(PORT)

.PHONY: demo
demo: setup ## two people write to each other through a relay of their own, in one minute
	@exec $(BIN)/python -m tests.demo

.PHONY: newcomer
newcomer: setup ## a relay by the page, from `relay init` to two people talking, with the time of each step (FRESH=1 installs first)
	@exec $(BIN)/python -m tests.newcomer $(if $(FRESH),--fresh)

SUITE ?= bookworm

.PHONY: bare-machine
bare-machine: $(PYTHON_READY) ## the commands of docs/operations.md in a bare Debian, with the time of each (root; SUITE=bookworm)
	@scripts/check_packages.sh "a bare machine" debootstrap:debootstrap nsenter:util-linux ip:iproute2
	@exec $(BIN)/python -m tests.bare_machine --suite $(SUITE)

# -- checks ----------------------------------------------------------------------------------------------------------

.PHONY: test
test: setup ## run every check: lint, client, app, screens, relay, both together, calls, demo
	@scripts/stages.sh lint test-client test-app screens test-relay test-both test-calls demo

.PHONY: lint
lint: $(PYTHON_READY) ## style and types of the Python code
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.PHONY: test-client
test-client: $(CLIENT_READY) ## types, style and tests of the client core, under Node
	cd mobile && npm run --silent typecheck
	cd mobile && npm run --silent lint
	cd mobile && npm test --silent

# Nothing of Expo may ask the network or wait for somebody at a keyboard.
EXPO := CI=1 EXPO_OFFLINE=1 EXPO_NO_TELEMETRY=1

.PHONY: test-app
test-app: $(CLIENT_READY) ## tests of the app's components, and its bundle for Android (Hermes bytecode)
	cd mobile && $(EXPO) npm run --silent test:ui
	cd mobile && $(EXPO) npm run --silent export:android
	@cd mobile && ls dist/android/_expo/static/js/android/*.hbc

# Made again only when something of the app is newer: bundling takes half a minute.
WEB := mobile/dist/web/index.html
$(WEB): $(CLIENT_READY) mobile/app.config.ts $(shell find mobile/app mobile/src/ui mobile/src/core -type f 2>/dev/null)
	cd mobile && $(EXPO) npm run --silent export:web

.PHONY: screens
screens: setup $(WEB) ## draw every screen in Chromium, compare with docs/screens (WRITE=1 replaces them), and walk through the app
	@scripts/check_packages.sh "pictures of the screens" chromium:chromium
	@# a font is no command: its absence costs the emoji, which the pictures tolerate
	@dpkg -s fonts-noto-color-emoji >/dev/null 2>&1 || DEBIAN_FRONTEND=noninteractive apt-get install -y -qq fonts-noto-color-emoji >/dev/null 2>&1 || true
	cd mobile && npm run --silent screens -- $(if $(WRITE),--write)
	cd mobile && npm run --silent test:walk

.PHONY: test-android
test-android: $(CLIENT_READY) ## the app's Kotlin on a JVM: engine and services, and conversations with the client core (JDK 17, Maven)
	@scripts/test_android.sh

.PHONY: test-relay
test-relay: setup setup-calls setup-operator ## tests of the relay (some of them ask libsignal under Node)
	@# Files side by side: they mostly wait for processes that start, deadlines that pass, disks.
	@# With AGAIN=1 only what failed, if the run before got to its end (1): another run of everything would find other bad luck.
	$(BIN)/pytest -n 4 --dist loadfile -o cache_dir=$(VENV)/pytest $(if $(AGAIN),--last-failed,--cache-clear) || \
		{ code=$$?; ((code == 1)) || rm -f $(VENV)/pytest/v/cache/lastfailed; exit $$code; }

.PHONY: test-pythons
test-pythons: setup ## the relay's tests on the other Pythons it runs on, those of 3.11 to 3.13 that are here (PYTHONS="/path/to/python ...")
	@PYTHONS="$(PYTHONS)" AGAIN="$(AGAIN)" scripts/test_pythons.sh

.PHONY: test-both
test-both: setup ## tests of the client core against a relay that it starts
	cd mobile && npm run --silent test:relay

.PHONY: test-calls
test-calls: setup setup-calls ## real voices through coturn between two clients, in a minute
	cd mobile && npm run --silent test:calls

.PHONY: calls
calls: export CALLS_FIGURES := $(CURDIR)/.make/calls-figures
calls: setup setup-calls ## the same at length (ten minutes, ten calls at once, 3000 random scenarios, 20 calls timed), and a table
	@mkdir -p .make && rm -f $(CALLS_FIGURES)
	$(BIN)/pytest -q tests/calls
	cd mobile && CALL_SCENARIOS=3000 npx vitest run tests/calls
	cd mobile && CALLS_LONG=1 npm run --silent test:calls
	@echo && column -t -s '|' $(CALLS_FIGURES)

.PHONY: soak
soak: setup ## two clients write 10,000 messages each way while everything is killed and cut (MESSAGES=… SEED=…; an hour)
	@cd mobile && npm run --silent soak

.PHONY: faults
faults: $(PYTHON_READY) ## hurt real relays under load, seeded, and judge what came of every post (COUNT=110 SEED= ONLY=)
	@exec $(BIN)/python -m tests.faults --count $(COUNT) $(if $(SEED),--seed $(SEED)) $(if $(ONLY),--only $(ONLY))

# Twenty rounds of 50 kills of the relay and 10 of PostgreSQL; seeds from 1000 on. A round that docs/reliability.json has is not done again.
.PHONY: kills
kills: $(PYTHON_READY) ## kill -9 a thousand times the relay and two hundred times PostgreSQL, under load (half an hour; ROUNDS=20; goes on where it stopped)
	@$(BIN)/python -m tests.faults --kills --seed $(if $(SEED),$(SEED),1000) --rounds $(ROUNDS) --into docs/reliability.json
	@$(BIN)/python -m tests.faults.records

.PHONY: models
models: $(PYTHON_READY) ## many random lives of a mailbox, of two nodes, of a session, held against models (EXAMPLES=300 SEED= ONLY=)
	@seed=$(if $(SEED),$(SEED),$$RANDOM); echo "SEED=$$seed"; \
	    MODEL_EXAMPLES=$(EXAMPLES) MODEL_SEED=$$seed $(BIN)/pytest -q --timeout 3000 tests/models $(if $(ONLY),-k "$(ONLY)")

.PHONY: crowd
crowd: $(PYTHON_READY) ## how long honest members wait for each other beside 10,000 hostile connections (CROWD=10000; two minutes)
	@$(BIN)/python -m tests.attacks.crowd --connections $(if $(CROWD),$(CROWD),10000)

.PHONY: proof
proof: setup ## record all that a relay receives, stores, logs and writes in a week of two people, and search it; then five betrayals
	$(BIN)/python -m tests.proof
	$(BIN)/pytest tests/proof -k convicted

BENCH_READY := .make/bench/ready

$(BENCH_READY): bench/requirements.lock $(PYTHON_READY)
	@$(BIN)/python -m venv .make/bench
	@echo "Installing what the relay is measured against, each checked against its hash in bench/requirements.lock ..."
	@.make/bench/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r bench/requirements.lock
	@touch $@

.PHONY: setup-bench
setup-bench: $(BENCH_READY) ## install the peers of `make bench`: Python packages, and ejabberd and RabbitMQ (Debian packages; no service is started)
	@scripts/check_packages.sh "the bench leaves some peers out" ejabberdctl:ejabberd rabbitmq-server:rabbitmq-server || true
	@# a driver is no command: without it ejabberd is left out, and the table says so
	@dpkg -s erlang-p1-pgsql >/dev/null 2>&1 || DEBIAN_FRONTEND=noninteractive apt-get install -y -qq erlang-p1-pgsql >/dev/null 2>&1 || true

BENCH := .make/bench/bin/python -m bench $(if $(QUESTION),--question $(QUESTION)) $(if $(SYSTEMS),--systems $(SYSTEMS)) $(if $(WAITING),--waiting $(WAITING))

.PHONY: bench
bench: setup-bench ## how fast and how costly the relay is, against its peers (half an hour; QUESTION=online,… SYSTEMS=ours,… REPEAT=5 PUBLISH=1)
	@exec $(BENCH) --rounds $(REPEAT) --json .make/bench/results.json $(if $(PUBLISH),--publish)

.PHONY: duel
duel: setup-bench ## this checkout and another revision at the same time on one core: which costs less, to a few hundredths (AGAINST=HEAD SYSTEMS=fastapi-group MODES=1x1,4x1)
	@exec .make/bench/bin/python -m bench.duel $(AGAINST) $(if $(SYSTEMS),--systems $(SYSTEMS)) $(if $(MODES),--modes $(MODES))

.PHONY: bench-quick
bench-quick: setup-bench ## the same in under five minutes: one short round
	@exec $(BENCH) --rounds 1 --quick

FUZZ_READY := .make/fuzz/ready

$(FUZZ_READY): tests/fuzz/requirements.lock $(PYTHON_READY)
	@$(BIN)/python -m venv --system-site-packages .make/fuzz
	@.make/fuzz/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r tests/fuzz/requirements.lock
	@$(BIN)/python -c 'import site; print("\n".join(site.getsitepackages()))' > "$$(.make/fuzz/bin/python -c 'import site; print(site.getsitepackages()[0])')/relay.pth"
	@touch $@

.PHONY: fuzz
fuzz: $(FUZZ_READY) ## coverage-guided fuzzing of what reads bytes of strangers (SECONDS_EACH=60)
	.make/fuzz/bin/python -m tests.fuzz --seconds $(SECONDS_EACH)

.PHONY: fuzz-http
fuzz-http: $(PYTHON_READY) ## requests made up from docs/openapi.json against a real relay, for minutes (EXAMPLES=300)
	$(BIN)/python -m tests.fuzz_http.run --examples $(EXAMPLES)

.PHONY: openapi
openapi: $(PYTHON_READY) ## write docs/openapi.json again after a change of a call
	$(BIN)/python -m relay.routes.openapi > docs/openapi.json

.PHONY: format
format: $(PYTHON_READY) ## rewrite the Python code in the house style
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

# -- dependencies ----------------------------------------------------------------------------------------------------

.PHONY: lock
lock: $(PYTHON_READY) ## write the lock files again after a change of dependencies (UPGRADE=1 takes newer versions)
	@test -x .make/uv/bin/uv || { $(BIN)/python -m venv .make/uv && .make/uv/bin/pip install --quiet uv; }
	.make/uv/bin/uv pip compile --quiet --universal --python-version 3.11 --extra embedded --group dev --generate-hashes \
	    --no-emit-index-url --no-annotate --no-header $(if $(UPGRADE),--upgrade) pyproject.toml -o requirements.lock
	.make/uv/bin/uv pip compile --quiet --universal --python-version 3.11 --extra embedded --group bench --generate-hashes --constraints requirements.lock \
	    --no-emit-index-url --no-annotate --no-header $(if $(UPGRADE),--upgrade) pyproject.toml -o bench/requirements.lock
	cd mobile && npm $(if $(UPGRADE),update,install) --package-lock-only --no-audit --no-fund --loglevel=error

.PHONY: sbom
sbom: setup ## write what both halves are made of, as CycloneDX, to dist/
	@mkdir -p dist
	@$(BIN)/python scripts/sbom.py > dist/sbom-relay.cdx.json
	@cd mobile && npm sbom --sbom-format cyclonedx --package-lock-only > ../dist/sbom-client.cdx.json
	@ls -l dist/sbom-*.cdx.json

.PHONY: clean
clean: ## remove everything that was installed or built; var/ (keys and mail of `make run`) stays
	rm -rf .venv .make .mypy_cache .ruff_cache .pytest_cache .hypothesis mobile/node_modules mobile/dist mobile/coverage mobile/.expo mobile/android
	find relay nursery_tasks tests -name __pycache__ -prune -exec rm -rf {} +
