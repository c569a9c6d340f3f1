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
CONCURRENT := ./actors/... ./cluster/... ./httpapi/... ./snapshot/... ./internal/engine/... ./internal/history/... ./internal/learn/... ./internal/app/... ./internal/endpoint/... ./internal/mlclient/...
FUZZTIME ?= 10s

.DEFAULT_GOAL := help
.PHONY: help build run cluster demo test race fuzz lint bench chaos chaos-brief parity learners mlworker clean

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

.PHONY: help build run cluster demo test race fuzz lint bench chaos chaos-brief parity learners mlworker clean

mlworker: ## make the ML worker's environment and start it (ML_WORKER_PORT, 8000)
	@$(MAKE) --no-print-directory -C mlworker run

clean: ## remove what was built and the data of `run` and `cluster`
	@$(MAKE) --no-print-directory -C mlworker clean
	rm -rf bin .tools .cluster $(CHAOS) $(DATA)
