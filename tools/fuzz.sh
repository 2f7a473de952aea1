#!/bin/sh
# Runs every fuzz target with $FUZZRUNS (100000) inputs, starting with its seeds. Go stores a failing
# input in testdata/fuzz of the package, and from then on, every test run includes it.
#
# The limits are counts: at the end of a limit of time, Go may report a target without a failing
# input as failed, with "context deadline exceeded" (https://go.dev/issue/75804).
set -eu
cd "$(dirname "$0")/.."
grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n 1 dirname | sort -u | while read -r package; do
	go test -list '^Fuzz' "$package" | grep '^Fuzz' | while read -r target; do
		echo "$package $target"
		go test "$package" -run '^$' -fuzz "^$target\$" \
			-fuzztime "${FUZZRUNS:-100000}x" -fuzzminimizetime 1000x -timeout 0 </dev/null
	done
done
