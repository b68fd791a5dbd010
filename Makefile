# VidStream. `make run` tries it, `make test` proves it; both install what is missing.
export VIDEO
.PHONY: run run-mesh test faults build web web-dev setup setup-lint setup-test bench lint clean help

help:            ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:[^#]*##/\t/' | expand -t 14

run: build       ## build, start, upload a clip (or VIDEO=path) and say where to watch it
	@scripts/run

run-mesh: build   ## the same on real backends, with two processes of each service
	@scripts/run-mesh

test: setup-test ## everything that proves it works
	@scripts/test

faults: setup-test ## twenty rounds of each fault of the tests that kill; ROUNDS=n for others
	@scripts/faults $(ROUNDS)

build: setup web ## the server and the command line
	@cargo build --locked --quiet --package vidstream-server --package vidctl

web: setup       ## the web app, embedded in the server by the next build
	@scripts/web

web-dev: setup   ## the web app with live reload, talking to a server on port 8080
	@cd web && npm run dev

setup:           ## what `make run` needs: ffmpeg, mold, npm packages
	@scripts/setup run

setup-lint:      ## what `make lint` needs besides: docker-compose, shellcheck, hadolint, kustomize
	@scripts/setup lint

setup-test:      ## what `make test` needs besides: Chromium, Firefox, players of others, grpcurl, servers
	@scripts/setup test

bench: build     ## the tables of bench/RESULTS.md
	@scripts/bench

lint: setup-lint ## formatting, clippy, the contract, what it is deployed with
	@scripts/lint

clean:           ## what builds left behind, not the data
	@cargo clean && rm -rf web/dist web/src/gen
