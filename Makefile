# Everything that a developer or CI runs. `make help` lists it.

GOLANGCI    = github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
GOVULNCHECK = golang.org/x/vuln/cmd/govulncheck@v1.9.0
FUZZTIME   ?= 10s
BENCHTIME  ?= 10s

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## build bin/openclaw-mcp, one static binary
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o bin/openclaw-mcp .

.PHONY: test
test: ## run the unit tests and a short session over the wire
	@echo "Each package says when it has passed; after the build, that takes a minute in all on two quiet cores."
	go test -ldflags -w -timeout 30m ./... # -w: without what debuggers need, which takes long to link

.PHONY: test-busy
test-busy: ## the same while three busy loops for each processor run beside them
	bash e2e/busy.sh $(MAKE) test

.PHONY: race
race: ## run the unit tests under the race detector (RACE_TAGS=e2e: in dash, bash and busybox, with real desktops)
	go test -race -timeout 30m ./e2e
	go test -race -timeout 30m -tags "$(RACE_TAGS)" $$(go list ./... | grep -v /e2e)

.PHONY: e2e
e2e: ## run the tests of the built binary, with other clients, desktops, Node and a browser
	$(MAKE) -C e2e test

.PHONY: conformance
conformance: ## run the official MCP conformance suite, for both eras
	$(MAKE) -C e2e conformance

.PHONY: e2e-apps
e2e-apps: ## use the pages that clients show in the official host and a real Chromium (PICTURES=folder keeps pictures)
	$(MAKE) -C e2e apps

.PHONY: chaos
chaos: ## set replicas on fire: kills, pauses, a NATS that comes and goes (SEED=2 draws otherwise, FOR=5m takes longer)
	go test -tags e2e -count 1 -timeout 3h ./e2e/chaos -seed $(or $(SEED),1) -for $(or $(FOR),10s)

.PHONY: agents
agents: ## run Claude Code, Codex and Gemini CLI with a scripted model (1 GB to install)
	$(MAKE) -C e2e agents

.PHONY: real
real: ## run OpenClaw itself with a scripted model, and read what it sends (800 MB to install)
	$(MAKE) -C e2e real

.PHONY: vscode
vscode: ## see the server in a real VS Code: code-server, driven by a browser
	$(MAKE) -C e2e vscode

.PHONY: fuzz
fuzz: ## run each fuzz target for FUZZTIME (10s)
	@for pkg in $$(go list ./...); do \
	  for f in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
	    echo "$$pkg $$f"; go test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) $$pkg || exit 1; \
	  done; done

.PHONY: bench
bench: ## measure the built binary and write docs/performance.md (minutes)
	mkdir -p bin
	go test ./bench -run '^$$' -bench . -benchtime $(BENCHTIME) -timeout 2h | tee bin/bench.txt
	go test ./bench -run WritePage -page $(CURDIR)/bin/bench.txt

.PHONY: scale
scale: ## measure groups of replicas, and write the tables of docs/scale.md (as root on Linux, with nats-server; four minutes)
	go test ./bench -count 1 -run '^TestScale$$' -scale -v -timeout 30m

.PHONY: bench-guard
bench-guard: ## hold the binary's size, and allocations per call to bench/guard.json; UPDATE=1 records them
	go test ./bench -count 1 -run 'Allocations|Size' -guard $(if $(UPDATE),-update)

.PHONY: lint
lint: fmt vet fix-check ## check formatting, vet, static analysis and go.mod
	go run $(GOLANGCI) run --build-tags e2e ./... # see .golangci.yml; the first run builds it, for minutes
	@command -v shellcheck >/dev/null || { echo "make lint needs shellcheck: apt-get install shellcheck" >&2; exit 1; }
	shellcheck $$(git ls-files '*.sh') .ci/install .ci/run
	go mod tidy -diff
	go mod verify

.PHONY: fmt
fmt:
	@out=$$(gofmt -l .); if [ -n "$$out" ]; then echo "not formatted: $$out"; exit 1; fi

.PHONY: vet
vet:
	go vet -tags e2e ./...
	GOOS=windows GOARCH=amd64 go vet ./...
	GOOS=darwin GOARCH=arm64 go vet ./...

.PHONY: fix-check
fix-check:
	@out=$$(go fix -diff -tags e2e ./... 2>&1); if [ -n "$$out" ]; then echo "$$out"; echo "run make fix"; exit 1; fi

.PHONY: fix
fix: ## rewrite the code as today's Go would have it (look at the diff)
	go fix -tags e2e ./...

.PHONY: vuln
vuln: ## look for known vulnerabilities in what the program uses
	@out=$$(go run $(GOVULNCHECK) ./... 2>&1); status=$$?; echo "$$out"; \
	case "$$out" in \
	*"govulncheck: fetching vulnerabilities:"*) \
	  echo "NOT CHECKED: the database of vulnerabilities can't be reached"; exit 0;; \
	esac; exit $$status

.PHONY: golden
golden: ## write the golden files anew (look at the diff)
	go test -tags e2e ./docs ./e2e ./e2e/tasks ./internal/cli ./internal/install -run "Golden|Samples" -update

.PHONY: apps
apps: apps/node_modules ## build the pages that clients show, internal/apps/pages.br, from apps/ (needs Node)
	cd apps && npm run -s check && npm run -s build

.PHONY: apps-check
apps-check: apps/node_modules ## check that a fresh build of the pages gives the bytes that are in the tree
	mkdir -p bin
	cd apps && npm run -s check && npm run -s build ../bin/pages.br
	cmp bin/pages.br internal/apps/pages.br || { echo "internal/apps/pages.br is not what apps/ builds: run make apps" >&2; exit 1; }

apps/node_modules: apps/package.json apps/package-lock.json
	cd apps && npm ci --no-fund --no-audit
	touch $@

.PHONY: clean
clean: ## remove what was built
	rm -rf bin dist

.PHONY: owner
owner: ## carry the addresses in packaging/owner.env into the module path, README.md and the manifests
	bash packaging/owner.sh

.PHONY: owner-check
owner-check: ## try other addresses in a copy, and go install it from there
	bash packaging/check-owner.sh

.PHONY: packages
packages: ## build and check all that a release holds, into dist/
	bash packaging/build.sh

.PHONY: image
image: ## build the container image with buildah and check it (as root, on Debian)
	bash packaging/check-image.sh

.PHONY: pin-images
pin-images: ## write today's digests of the base images into packaging/Dockerfile (look at the diff)
	packaging/pin-images.sh

.PHONY: snapshot
snapshot: ## have goreleaser make a release of the commit, unpublished, and check it (minutes)
	bash packaging/snapshot.sh

.PHONY: examples
examples: build ## run the pipelines in examples/ on an instance of this machine
	bash examples/run.sh

.PHONY: docs-commands
docs-commands: ## run the commands of README.md, docs/ and examples/ in a clean home
	bash packaging/run-docs.sh

.PHONY: demo-cast
demo-cast: build ## draw docs/chat.svg anew from what the demo sends to a terminal (look at it)
	node packaging/demo-cast.mjs bin/openclaw-mcp docs/chat.svg

.PHONY: proxies
proxies: build ## test the documented nginx configuration with a real nginx
	@command -v nginx >/dev/null || { echo "make proxies needs nginx: apt-get install nginx-light" >&2; exit 1; }
	cd packaging/check && BINARY=$(CURDIR)/bin/openclaw-mcp go test -count=1 -tags nginx -run Nginx .
