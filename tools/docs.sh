#!/bin/sh
# Generates the provider's pages in docs/ from its schema, provider/templates, and examples. The
# schema comes from the code, not from Terraform, so the pages do not depend on the installed
# version.
set -eu
cd "$(dirname "$0")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

go run ./provider/schemajson >"$work/schema.json"
go tool -modfile=tools/go.mod tfplugindocs generate --provider-name dcvaas --providers-schema "$work/schema.json" \
	--website-source-dir provider/templates --rendered-website-dir docs
