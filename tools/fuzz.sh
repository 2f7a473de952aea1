#!/bin/sh
# Feeds every fuzz target what nobody would send, each for $FUZZTIME (20s), from its seeds on.
# What breaks one is kept under testdata/fuzz beside it, and from then on every test run sends it.
set -eu
cd "$(dirname "$0")/.."
grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n 1 dirname | sort -u | while read -r package; do
	go test -list '^Fuzz' "$package" | grep '^Fuzz' | while read -r target; do
		echo "$package $target"
		go test "$package" -run '^$' -fuzz "^$target\$" -fuzztime "${FUZZTIME:-20s}" -timeout 0 </dev/null
	done
done
