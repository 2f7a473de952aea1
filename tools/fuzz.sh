#!/bin/sh
# Runs every fuzz target for $FUZZTIME (20s), starting with its seeds. Go stores a failing input in
# testdata/fuzz of the package, and from then on, every test run includes it.
set -eu
cd "$(dirname "$0")/.."
grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n 1 dirname | sort -u | while read -r package; do
	go test -list '^Fuzz' "$package" | grep '^Fuzz' | while read -r target; do
		echo "$package $target"
		go test "$package" -run '^$' -fuzz "^$target\$" -fuzztime "${FUZZTIME:-20s}" -timeout 0 </dev/null
	done
done
