#!/bin/sh
# Upgrades a deployment of an earlier commit to this one, with both serving.
#
# usage: tools/upgrade.sh COMMIT [TEST-FLAG...]
set -eu
cd "$(dirname "$0")/.."

commit=$(git rev-parse --verify "$1^{commit}")
shift
old=$(mktemp -d)
trap 'rm -rf "$old"' EXIT
git archive "$commit" | tar -x -C "$old"
(cd "$old" && CGO_ENABLED=0 go build -trimpath -buildvcs=false -o "$old/dcvaas" ./controlplane/cmd/dcvaas)
go test ./controlplane/cmd/program -run 'TestUpgrade$' -count=1 -upgrade.from="$old/dcvaas" "$@"
