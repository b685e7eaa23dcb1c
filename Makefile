# What a person or CI runs here; `make` alone explains. Everything else is in package.json.
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.PHONY: help setup check test quickstart build bench clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## packages from npm; PostgreSQL, sshd and zstd privately where they are missing
	@scripts/setup

quickstart: setup ## see it work: back up a sample server to S3, SFTP and a directory, restore, compare
	@node scripts/quickstart/main.ts

test: setup ## every test, on real PostgreSQL, S3 and SFTP servers that start and stop by themselves
	@npm run --silent test

check: setup ## types, lint, format, generated files, unit tests: no network, no server
	@npm run --silent check

build: setup ## plain JavaScript in dist
	@npm run --silent build

bench: setup ## measure a backup of 2 GB against shell pipes; needs rclone (npm run bench:backup -- --scale 10 for less)
	@npm run --silent bench:backup

clean: ## remove what was built, downloaded and cached, but for node_modules
	rm -rf dist .cache
