#!/bin/sh
# Prints the section of a version in CHANGELOG.md, without its heading. It fails if the section
# "## [1.2.3] - date" is missing or empty, because a release needs it.
#
# usage: tools/release-notes.sh v1.2.3
set -eu
cd "$(dirname "$0")/.."

version=${1:?usage: tools/release-notes.sh v1.2.3}
notes=$(awk -v heading="## [${version#v}]" '
	/^## / || /^\[[^]]*\]: / { inside = index($0, heading) == 1; next }
	inside' CHANGELOG.md)
if [ -z "$notes" ]; then
	echo "release-notes: CHANGELOG.md has no section \"## [${version#v}]\", or an empty one" >&2
	exit 1
fi
printf '%s\n' "$notes"
