#!/bin/sh
# Installs the missing programs that a make target needs, with the system's package manager. If
# nothing is missing, it only checks for the programs, which takes milliseconds.
#
# usage: tools/install.sh demo|dev|test
# shellcheck disable=SC2086 # names in lists are split on purpose
set -eu

# need: programs that the target requires. want: optional programs that make it more like
# production.
set_name=${1:-}
case $set_name in
demo) need='postgres curl terraform' want='redis' ;;
dev)  need='postgres' want='redis dig curl jq openssl' ;;
test) need='postgres redis named knotd dig curl jq openssl chromium promtool terraform' want='' ;;
*) echo 'usage: tools/install.sh demo|dev|test' >&2; exit 2 ;;
esac

say() { echo "install: $*"; }
on_path() { for _name; do if command -v "$_name" >/dev/null 2>&1; then return 0; fi; done; return 1; }
exists() { for _file; do if [ -x "$_file" ]; then return 0; fi; done; return 1; }

# has reports whether a program is installed. On most systems, the Postgres server is not on PATH.
has() {
	case $1 in
	postgres)
		on_path postgres ||
			exists /usr/lib/postgresql/*/bin/postgres /usr/pgsql-*/bin/postgres /usr/libexec/postgresql*/postgres /usr/local/pgsql/bin/postgres \
				/opt/homebrew/opt/postgresql*/bin/postgres /usr/local/opt/postgresql*/bin/postgres ;;
	redis) on_path redis-server valkey-server ;;
	named | knotd) on_path "$1" || exists "/usr/sbin/$1" ;;
	chromium)
		on_path chromium chromium-browser google-chrome google-chrome-stable ||
			exists '/Applications/Chromium.app/Contents/MacOS/Chromium' '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome' ;;
	*) on_path "$1" ;;
	esac
}

missing_of() { for _thing; do has "$_thing" || printf '%s ' "$_thing"; done; }

# packages lists the possible package names of a program, in order of preference.
packages() {
	case $manager:$1 in
	apt:postgres)  echo postgresql ;;
	apt:redis)     echo redis-server valkey-server ;;
	apt:dig)       echo bind9-dnsutils dnsutils ;;
	apt:named)     echo bind9 ;;
	*:named)       echo bind ;;
	*:knotd)       echo knot ;;
	dnf:postgres)  echo postgresql-server ;;
	dnf:redis)     echo valkey redis ;;
	dnf:dig)       echo bind-utils ;;
	apk:postgres)  echo postgresql ;;
	apk:redis)     echo redis valkey ;;
	apk:dig)       echo bind-tools ;;
	dnf:promtool)  echo golang-github-prometheus prometheus ;;
	*:promtool)    echo prometheus ;;
	brew:postgres) echo postgresql@17 ;;
	brew:dig)      echo bind ;;
	brew:terraform) echo hashicorp/tap/terraform ;;
	*)             echo "$1" ;;
	esac
}

# offers reports whether the package manager can install the package.
offers() {
	case $manager in
	apt)  apt-cache policy "$1" 2>/dev/null | grep -q 'Candidate: [^(]' ;;
	dnf)  dnf -q list "$1" >/dev/null 2>&1 ;;
	apk)  [ -n "$(apk search -x "$1" 2>/dev/null)" ] ;;
	brew) case $1 in hashicorp/*) true ;; *) brew info "$1" >/dev/null 2>&1 ;; esac ;;
	esac
}

refresh() {
	case $manager in
	apt) as_root apt-get -qq -o DPkg::Lock::Timeout=300 update ;;
	apk) as_root apk -q update ;;
	*) ;; # dnf and brew refresh automatically
	esac
}

install_packages() {
	case $manager in
	apt)
		as_root env DEBIAN_FRONTEND=noninteractive \
			apt-get -qq -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 install --no-install-recommends "$@" ;;
	dnf) as_root dnf -q -y install "$@" ;;
	apk) as_root apk -q add "$@" ;;
	brew) brew install --quiet "$@" ;;
	esac
}

# choose sets chosen to the packages of the missing programs that the package manager offers, and
# unknown to the other programs.
choose() {
	chosen= unknown=
	for _thing in $missing; do
		_found=
		for _package in $(packages "$_thing"); do
			if offers "$_package"; then
				_found=$_package
				break
			fi
		done
		if [ -n "$_found" ]; then chosen="$chosen $_found"; else unknown="$unknown $_thing"; fi
	done
}

# finish reports missing programs and how to install them. It exits with 1 if the target requires
# one.
how='Install it manually' # printed as: …, then run this again.
finish() {
	_left=$(missing_of $want)
	[ -z "$_left" ] || say "missing: $_left- optional for \`make $set_name\`."
	_left=$(missing_of $need)
	[ -n "$_left" ] || exit 0
	case " $_left" in *' terraform '*)
		say "Terraform (1.11 or newer) is missing. \`make $set_name\` requires it, and few systems package it."
		say '  Install it (https://developer.hashicorp.com/terraform/install), put `terraform` on PATH, then run this again.'
		_left=$(missing_of $need | sed 's/terraform //') ;;
	esac >&2
	[ -z "$_left" ] || say "missing: $_left- required for \`make $set_name\`. $how, then run this again." >&2
	exit 1
}

missing=$(missing_of $need $want)
[ -n "$missing" ] || exit 0

if   on_path apt-get; then manager=apt
elif on_path dnf;     then manager=dnf
elif on_path apk;     then manager=apk
elif on_path brew;    then manager=brew
else
	how='apt-get, dnf, apk, and brew were not found: install it manually'
	finish
fi

# Other users than root need sudo, either without a password or with a terminal to enter it.
as_root() { "$@"; }
if [ "$manager" != brew ] && [ "$(id -u)" -ne 0 ]; then
	if on_path sudo && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
		as_root() { sudo "$@"; }
	else
		how="Installation requires root: run \`tools/install.sh $set_name\` as root"
		finish
	fi
fi

# The package manager's output is shown only on failure.
log=$(mktemp)
trap 'rm -f "$log"' EXIT

refreshed=
refresh_once() {
	[ -z "$refreshed" ] || return 1
	refreshed=yes
	say 'reading the package lists'
	refresh >>"$log" 2>&1
}

# A new container has no package lists.
case $manager in
apt) [ -n "$(find /var/lib/apt/lists -name '*_Packages*' 2>/dev/null | head -n 1)" ] || refresh_once || true ;;
apk) refresh_once || true ;;
esac

choose
# Updated lists may have more packages, but Debian's never have Terraform.
case $unknown in
'' | ' terraform') ;;
*) if refresh_once; then choose; fi ;;
esac

if [ -n "$chosen" ]; then
	say "\`make $set_name\` requires$chosen; installing with $manager, which may take a minute"
	# Old lists name versions that the mirror no longer has: retry with new lists.
	install_packages $chosen >>"$log" 2>&1 || { refresh_once && install_packages $chosen >>"$log" 2>&1; } || cat "$log" >&2
	[ -n "$(missing_of $need $want)" ] || say 'done. Services started by the packages are not used.'
elif [ -n "$refreshed" ]; then
	cat "$log" >&2
fi
finish
