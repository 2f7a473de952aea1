#!/bin/sh
# Prints the path of an OpenTofu that it has built, with Go only. The build takes some minutes, and
# only the first time.
#
# usage: tools/tofu.sh
set -eu

# The module's own go.mod replaces a dependency, which `go install` rejects, so that it is built as
# the main module.
module=github.com/opentofu/opentofu
version=v1.12.6
tofu=${XDG_CACHE_HOME:-$HOME/.cache}/dcvaas/tofu-$version/tofu

if [ ! -x "$tofu" ]; then
	echo "tofu: building OpenTofu $version, which takes some minutes" >&2
	dir=$(GOFLAGS='' go mod download -json "$module@$version" | sed -n 's/^.*"Dir": "\(.*\)".*$/\1/p')
	mkdir -p "${tofu%/*}"
	(cd "$dir" && GOFLAGS=-mod=readonly GOWORK=off CGO_ENABLED=0 go build -trimpath -buildvcs=false \
		-ldflags "-s -w -X $module/version.dev=no" -o "$tofu.new" ./cmd/tofu) >&2
	mv "$tofu.new" "$tofu"
fi
echo "$tofu"
