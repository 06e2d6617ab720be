# `make help` says what can be made here.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

STEP := tools/step
FUZZTIME ?= 10s
BROWSER := internal/console/testdata/browser

.PHONY: help build check test nightly demo fmt fuzz bench interop authzen

help: ## list what can be made
	@printf 'attorn: power of attorney for AI agents\n\n'
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

build: ## build bin/attorn
	@tools/need go
	@$(STEP) "building bin/attorn" go build -trimpath -o bin/attorn ./cmd/attorn

check: ## the gate for every commit: format, vet, staticcheck, architecture, modules, generated files, links
	@tools/need go
	@tools/check

test: ## everything that must hold: check, then all tests on SQLite and on a PostgreSQL of its own, the story once, then all again with the race detector
	@tools/need go node npm cc postgres chromium
	@tools/check
	@$(MAKE) demo/node_modules/.package-lock.json $(BROWSER)/node_modules/.package-lock.json
	@$(STEP) "building bin/pgtest, which gives the tests a PostgreSQL" go build -o bin/pgtest ./internal/pgtest
	@$(STEP) "all tests, on SQLite and PostgreSQL" bin/pgtest -- go test -timeout 30m ./...
	@$(STEP) "building the story" tools/build-demo
	@$(STEP) "the story that make demo tells, once" bin/demo -once
	@$(STEP) "the stateful packages again, with the race detector (building it takes minutes the first time)" \
		bin/pgtest -- tools/race

nightly: ## a million random bundles and requests, decided by attorn and plainly by Cedar (about ten minutes)
	@tools/need go
	@$(STEP) "a million random bundles and requests" go test ./policy -run 'TestAgreesWithCedar$$' -rapid.checks=1000000 -timeout 6h

demo: ## tell the story against a real MCP server, then keep the server up; ONCE=1 ends with the story
	@tools/need go node npm
	@$(STEP) "building bin/attorn and the story" tools/build-demo
	@$(MAKE) demo/node_modules/.package-lock.json
	@bin/demo $(if $(filter-out 0,$(ONCE)),-once)

# npm writes this file last: it is newer than the lock exactly when everything is installed.
demo/node_modules/.package-lock.json: demo/package-lock.json demo/package.json
	@$(STEP) "installing the MCP servers of demo/ (npm ci)" npm --prefix demo ci --no-audit --no-fund
	@touch $@

$(BROWSER)/node_modules/.package-lock.json: $(BROWSER)/package-lock.json $(BROWSER)/package.json
	@$(STEP) "installing the OpenID provider and the browser's driver of the console's tests (npm ci)" npm --prefix $(BROWSER) ci --no-audit --no-fund
	@touch $@

interop: ## run clients that other people wrote against a running server: one line a client
	@tools/need go node npm
	@$(STEP) "building bin/attorn" go build -trimpath -o bin/attorn ./cmd/attorn
	@$(STEP) "building what runs the clients" go -C interop build -o ../bin/interop .
	@$(STEP) "building the Go SDK's client for the conformance suite" \
		go -C interop build -o ../bin/everything-client github.com/modelcontextprotocol/go-sdk/conformance/everything-client
	@$(MAKE) interop/node_modules/.package-lock.json
	@bin/interop

interop/node_modules/.package-lock.json: interop/package-lock.json interop/package.json
	@$(STEP) "installing the clients of interop/ (npm ci)" npm --prefix interop ci --no-audit --no-fund
	@touch $@

authzen: ## send the public interoperability cases of the AuthZEN working group to a running server: passed and failed by scenario
	@tools/need go
	@go test ./cmd/attorn -run '^TestAuthZEN$$' -count=1 -v | sed -n -e 's/^authzen: /  /p' -e '/^ *authzen_test.go/p'

fmt: ## format the source
	@$(STEP) "formatting (gofumpt)" go tool -modfile=tools/go.mod gofumpt -l -w .

fuzz: ## run every fuzz target for FUZZTIME (10s)
	@tools/need go
	@tools/fuzz $(FUZZTIME)

bench: ## measure what attorn adds to a trivial handler, as ratios, and say whether the goals hold (about two minutes)
	@tools/need go
	@$(STEP) "building the measured server" go -C bench build -o ../bin/yard ./yard
	@$(STEP) "building its load" go -C bench build -o ../bin/bench ./run
	@bin/bench -yard bin/yard
