# praetor — run `make` for the list of targets.

SHELL := /bin/bash
GO ?= go
# raft reports its metrics through hashicorp/go-metrics with this tag; without
# it, it would pull in a second, older metrics library for the same purpose.
export GOFLAGS := -tags=hashicorpmetrics $(GOFLAGS)
export CGO_ENABLED ?= 0

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
STATICCHECK_VERSION := v0.8.2
TOOLS := $(CURDIR)/.tools
# LightGBM with its large models, and the libraries that learners are held against.
LIGHTGBM := $(TOOLS)/lightgbm
REFERENCE := $(TOOLS)/reference
# More flags of praetor-bench learners, such as --sections=cost --rounds=9.
LEARNERS ?=
DATA ?= ./data
# Of `make chaos`: how many rounds in all, and where they are recorded.
ROUNDS ?= 300
CHAOS ?= .chaos
# The packages whose code runs on several goroutines.
CONCURRENT := ./actors/... ./cluster/... ./httpapi/... ./snapshot/... ./internal/engine/... ./internal/history/... ./internal/learn/... ./internal/app/... ./internal/endpoint/... ./internal/evidence/... ./internal/experiment/... ./internal/mlclient/... ./internal/monitor/... ./internal/attribution/... ./internal/decisionlog/... ./internal/event/... ./internal/optimization/... ./internal/vault/... ./internal/warehouse/... ./internal/webhook/...
FUZZTIME ?= 10s

.DEFAULT_GOAL := help
.PHONY: help build run cluster demo test race fuzz lint bench chaos chaos-brief parity adaptive regret learners mlworker clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build bin/praetor
	$(GO) build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o bin/praetor ./cmd/praetor

run: build ## build and start a one-node engine on loopback with a demo tenant and its key
	./bin/praetor serve --dev --data $(DATA)

cluster: build ## start three nodes of one cluster on this machine
	./deploy/local-cluster.sh .cluster

demo: build ## play the demo: a simulated market, learned through the public API
	./bin/praetor demo

test: ## run every test
	$(GO) test ./...

race: ## run the tests of the concurrent packages under the race detector
	CGO_ENABLED=1 $(GO) test -race $(CONCURRENT)

fuzz: ## run every fuzz test for FUZZTIME (10s) each
	@set -e; for pkg in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "$$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$pkg; \
	  done; \
	done

lint: $(TOOLS)/staticcheck ## gofmt, go vet, staticcheck
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$unformatted" ]; then echo "not gofmt-ed:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(TOOLS)/staticcheck ./...

$(TOOLS)/staticcheck:
	GOBIN=$(TOOLS) GOFLAGS= $(GO) install honnef.co/go/tools/cmd/staticcheck@$(STATICCHECK_VERSION)

bench: build ## measure, as ratios side by side (see bench/README.md)
	$(GO) run ./bench/cmd/praetor-bench all

chaos: build ## harm a cluster of real processes for ROUNDS (300) rounds and check every promise (see docs/reliability.md)
	@mkdir -p $(CHAOS)
	$(GO) run ./bench/cmd/praetor-chaos run --rounds $(ROUNDS) --report $(CHAOS)/rounds.jsonl --praetor bin/praetor --dir $(CHAOS); status=$$?; \
	  $(GO) run ./bench/cmd/praetor-chaos report --report $(CHAOS)/rounds.jsonl; exit $$status

chaos-brief: build ## every fault once, shorter: about three minutes
	@mkdir -p $(CHAOS)
	@rm -f $(CHAOS)/brief.jsonl
	$(GO) run ./bench/cmd/praetor-chaos run --rounds 18 --brief --report $(CHAOS)/brief.jsonl --praetor bin/praetor --dir $(CHAOS)

parity: $(LIGHTGBM)/.made ## compare scores and explanations with LightGBM's on 100 000 random rows
	PRAETOR_LIGHTGBM=$(LIGHTGBM)/large $(GO) test -count=1 -run Large -v ./internal/learn/boosted

learners: $(LIGHTGBM)/.made $(REFERENCE)/.installed $(REFERENCE)/latency ## measure the learners beside scikit-learn and LightGBM, into docs/learners.md
	@$(MAKE) --no-print-directory -C mlworker .venv/.installed
	$(GO) run ./bench/cmd/praetor-bench learners --python $(REFERENCE)/bin/python --models $(LIGHTGBM)/large \
	  --latency $(REFERENCE)/latency --docs docs/learners.md $(LEARNERS)

adaptive: ## simulate adaptive learning on a truth that drifts, into docs/adaptive-learning.md and its plot
	$(GO) run ./bench/cmd/praetor-bench adaptive --docs docs/adaptive-learning.md --plot docs/adaptive-learning.svg

regret: ## simulate the factorial bandits, and replay the log in PRAETOR_DATASETS, into docs/bandits.md and its plot
	$(GO) run ./bench/cmd/praetor-bench regret --docs docs/bandits.md --plot docs/bandits.svg

# The marks are newer than what they were made from.
$(LIGHTGBM)/.made: internal/learn/boosted/testdata/generate.py
	python3 -m venv $(LIGHTGBM)
	$(LIGHTGBM)/bin/pip install --quiet --disable-pip-version-check lightgbm==4.7.0 numpy==2.4.6 pandas==3.1.1
	$(LIGHTGBM)/bin/python internal/learn/boosted/testdata/generate.py large $(LIGHTGBM)/large
	@touch $@

$(REFERENCE)/.installed: bench/learners/reference/requirements.txt
	python3 -m venv $(REFERENCE)
	$(REFERENCE)/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

$(REFERENCE)/latency: internal/learn/boosted/testdata/latency.c $(REFERENCE)/.installed
	lib=$$($(REFERENCE)/bin/python -c 'import lightgbm, pathlib; print(pathlib.Path(lightgbm.__file__).parent / "lib")'); \
	  gcc -O2 $< -o $@ -L"$$lib" -l:lib_lightgbm.so -Wl,-rpath,"$$lib"

mlworker: ## make the ML worker's environment and start it (ML_WORKER_PORT, 8000)
	@$(MAKE) --no-print-directory -C mlworker run

clean: ## remove what was built and the data of `run` and `cluster`
	@$(MAKE) --no-print-directory -C mlworker clean
	rm -rf bin .tools .cluster $(CHAOS) $(DATA)
