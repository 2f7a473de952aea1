#!/bin/sh
# Fails if a generated file is stale or not in Git: `make generate` was not run, or its output was
# not added. The script leaves the regenerated files in the work tree. Generated files are *_gen.go,
# the alert rules, and docs/, except docs/design, which is handwritten.
set -eu
cd "$(dirname "$0")/.."

generated_files() {
	find . \( -name '.?*' -o -path ./bin \) -prune -o -type f -name '*_gen.go' -print
	echo ./controlplane/deploy/prometheus-rules.yaml
	if [ -d docs ]; then find docs -path docs/design -prune -o -type f -print; fi
}
snapshot() { generated_files | LC_ALL=C sort | xargs cksum; }

before=$(mktemp) after=$(mktemp)
trap 'rm -f "$before" "$after"' EXIT

snapshot >"$before"
"${MAKE:-make}" generate
snapshot >"$after"

stale=$(diff "$before" "$after" | sed -n 's/^[<>] [0-9]* [0-9]* //p' | sort -u)
untracked=$(git -c safe.directory='*' ls-files --others -- '*_gen.go' docs ':!docs/design')
[ -n "$stale$untracked" ] || { echo 'check-generated: all generated files are up to date.'; exit 0; }

{
	[ -z "$stale" ] || printf 'check-generated: these files were stale and have been regenerated:\n%s\n' "$stale"
	[ -z "$untracked" ] || printf 'check-generated: these generated files are not in Git:\n%s\n' "$untracked"
	echo 'check-generated: run `make generate` and commit its output.'
} >&2
exit 1
