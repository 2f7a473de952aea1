#!/bin/sh
# Fails when a generated file is not what its source gives now: `make generate` was forgotten, or its result was not added.
# It leaves the fresh files in the tree. What is generated: *_gen.go and docs/, but for docs/design, which is written by hand.
set -eu
cd "$(dirname "$0")/.."

generated_files() {
	find . \( -name '.?*' -o -path ./bin \) -prune -o -type f -name '*_gen.go' -print
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
[ -n "$stale$untracked" ] || { echo 'check-generated: every generated file is fresh.'; exit 0; }

{
	[ -z "$stale" ] || printf 'check-generated: these were stale, and are fresh now:\n%s\n' "$stale"
	[ -z "$untracked" ] || printf 'check-generated: these are generated, and not in git:\n%s\n' "$untracked"
	echo 'check-generated: run `make generate`, and commit what it writes.'
} >&2
exit 1
