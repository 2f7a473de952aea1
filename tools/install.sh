#!/bin/sh
# Installs what a make target needs and this machine lacks, with the system's package manager.
# Where nothing is missing it only looks for the programs, and takes milliseconds.
#
# usage: tools/install.sh demo|dev|test
# shellcheck disable=SC2086 # names in lists are split on purpose
set -eu

# need: the target cannot do without it. want: it runs without it, less like production.
set_name=${1:-}
case $set_name in
demo) need='postgres curl terraform' want='redis' ;;
dev)  need='postgres' want='redis dig curl openssl' ;;
test) need='postgres redis dig curl openssl chromium terraform' want='' ;;
*) echo 'usage: tools/install.sh demo|dev|test' >&2; exit 2 ;;
esac

say() { echo "install: $*"; }
on_path() { for _name; do if command -v "$_name" >/dev/null 2>&1; then return 0; fi; done; return 1; }
exists() { for _file; do if [ -x "$_file" ]; then return 0; fi; done; return 1; }

# has tells whether the thing is installed. Postgres keeps its server off PATH on most systems.
has() {
	case $1 in
	postgres)
		on_path postgres ||
			exists /usr/lib/postgresql/*/bin/postgres /usr/pgsql-*/bin/postgres /usr/libexec/postgresql*/postgres /usr/local/pgsql/bin/postgres \
				/opt/homebrew/opt/postgresql*/bin/postgres /usr/local/opt/postgresql*/bin/postgres ;;
	redis) on_path redis-server valkey-server ;;
	chromium)
		on_path chromium chromium-browser google-chrome google-chrome-stable ||
			exists '/Applications/Chromium.app/Contents/MacOS/Chromium' '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome' ;;
	*) on_path "$1" ;;
	esac
}

missing_of() { for _thing; do has "$_thing" || printf '%s ' "$_thing"; done; }

# packages lists the names that the thing may have, best first.
packages() {
	case $manager:$1 in
	apt:postgres)  echo postgresql ;;
	apt:redis)     echo redis-server valkey-server ;;
	apt:dig)       echo bind9-dnsutils dnsutils ;;
	dnf:postgres)  echo postgresql-server ;;
	dnf:redis)     echo valkey redis ;;
	dnf:dig)       echo bind-utils ;;
	apk:postgres)  echo postgresql ;;
	apk:redis)     echo redis valkey ;;
	apk:dig)       echo bind-tools ;;
	brew:postgres) echo postgresql@17 ;;
	brew:dig)      echo bind ;;
	brew:terraform) echo hashicorp/tap/terraform ;;
	*)             echo "$1" ;;
	esac
}

# offers tells whether the package manager can install the package.
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
	*) ;; # dnf and brew refresh by themselves.
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

# choose sets chosen to a package for every missing thing that the package manager offers, and unknown to the other things.
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

# finish reports what is still missing, and how to get it. It exits with 1 if the target cannot do without it.
how='Install it by hand' # ends as: …, then run this again.
finish() {
	_left=$(missing_of $want)
	[ -z "$_left" ] || say "missing: $_left- \`make $set_name\` runs without it."
	_left=$(missing_of $need)
	[ -n "$_left" ] || exit 0
	case " $_left" in *' terraform '*)
		say "Terraform (1.11 or newer) is missing: \`make $set_name\` needs it, and few systems have it in their own packages."
		say '  https://developer.hashicorp.com/terraform/install says how to install it. Put `terraform` on PATH, then run this again.'
		_left=$(missing_of $need | sed 's/terraform //') ;;
	esac >&2
	[ -z "$_left" ] || say "missing: $_left- \`make $set_name\` needs it. $how, then run this again." >&2
	exit 1
}

missing=$(missing_of $need $want)
[ -n "$missing" ] || exit 0

if   on_path apt-get; then manager=apt
elif on_path dnf;     then manager=dnf
elif on_path apk;     then manager=apk
elif on_path brew;    then manager=brew
else
	how='None of apt-get, dnf, apk and brew is here: install it by hand'
	finish
fi

# Root installs; others do it by sudo, if it asks for no password or there is someone to ask.
as_root() { "$@"; }
if [ "$manager" != brew ] && [ "$(id -u)" -ne 0 ]; then
	if on_path sudo && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
		as_root() { sudo "$@"; }
	else
		how="Installing takes root: run \`tools/install.sh $set_name\` as root"
		finish
	fi
fi

# The package manager's own words are shown only where it failed.
log=$(mktemp)
trap 'rm -f "$log"' EXIT

refreshed=
refresh_once() {
	[ -z "$refreshed" ] || return 1
	refreshed=yes
	say 'reading the package lists'
	refresh >>"$log" 2>&1
}

# A fresh container has no package lists at all.
case $manager in
apt) [ -n "$(find /var/lib/apt/lists -name '*_Packages*' 2>/dev/null | head -n 1)" ] || refresh_once || true ;;
apk) refresh_once || true ;;
esac

choose
# Newer lists may know more, but Debian's never have Terraform.
case $unknown in
'' | ' terraform') ;;
*) if refresh_once; then choose; fi ;;
esac

if [ -n "$chosen" ]; then
	say "\`make $set_name\` needs$chosen; installing with $manager, which may take a minute"
	# Old lists name versions that the mirror no longer has: a second try with new ones.
	install_packages $chosen >>"$log" 2>&1 || { refresh_once && install_packages $chosen >>"$log" 2>&1; } || cat "$log" >&2
	[ -n "$(missing_of $need $want)" ] || say 'done. Services that the packages may have started are not used.'
elif [ -n "$refreshed" ]; then
	cat "$log" >&2
fi
finish
