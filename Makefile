# Everything that a developer or CI runs. `make help` lists it.

STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
FUZZTIME   ?= 10s

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## build bin/openclaw-mcp, one static binary
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o bin/openclaw-mcp .

.PHONY: test
test: ## run the tests that need nothing but Go
	go test -p 4 ./... # many packages at once: much of their time is waiting

.PHONY: race
race: ## run them under the race detector
	go test -race ./...

.PHONY: e2e
e2e: ## run the suites that need more: desktops, Node clients, a browser
	$(MAKE) -C e2e test

.PHONY: conformance
conformance: ## run the official MCP conformance suite, for both eras
	$(MAKE) -C e2e conformance

.PHONY: agents
agents: ## run Claude Code, Codex and Gemini CLI with a scripted model (1 GB to install)
	$(MAKE) -C e2e agents

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
	go run ./bench

.PHONY: bench-guard
bench-guard: ## hold allocations to bench/guard.json; UPDATE=1 records them anew
	go run ./bench -guard bench/guard.json $(if $(UPDATE),-update)

.PHONY: lint
lint: fmt vet ## check formatting, vet, static analysis and go.mod
	go run $(STATICCHECK) ./...
	go mod tidy -diff
	go mod verify

.PHONY: fmt
fmt:
	@out=$$(gofmt -l .); if [ -n "$$out" ]; then echo "not formatted: $$out"; exit 1; fi

.PHONY: vet
vet:
	go vet ./...
	GOOS=windows GOARCH=amd64 go vet ./...
	GOOS=darwin GOARCH=arm64 go vet ./...

.PHONY: golden
golden: ## write the golden files anew (look at the diff)
	go test . -run Golden -update

.PHONY: clean
clean: ## remove what was built
	rm -rf bin dist

.PHONY: packages
packages: ## build and check all that a release holds, into dist/
	bash packaging/build.sh

.PHONY: image
image: ## build the container image with buildah and check it (as root, on Debian)
	bash packaging/check-image.sh

.PHONY: snapshot
snapshot: ## have goreleaser make a release of the commit, unpublished, and check it (minutes)
	bash packaging/snapshot.sh

.PHONY: docs-commands
docs-commands: ## run the commands of README.md and docs/ in a clean home
	bash packaging/run-docs.sh

.PHONY: picture
picture: build ## record docs/chat.svg anew: a session, as it happens (look at it)
	node packaging/picture.mjs bin/openclaw-mcp docs/chat.svg

.PHONY: proxies
proxies: build ## test the documented nginx configuration with a real nginx
	@command -v nginx >/dev/null || { echo "make proxies needs nginx: apt-get install nginx-light" >&2; exit 1; }
	cd packaging/check && BINARY=$(CURDIR)/bin/openclaw-mcp go test -count=1 -tags nginx -run Nginx .
