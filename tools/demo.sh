#!/usr/bin/env bash
# Issues a certificate with `terraform apply`: starts the development stack on free ports, applies
# examples/quickstart, verifies the certificate, and stops. The programs must exist in bin/.
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d "${TMPDIR:-/tmp}/dcvaas-demo.XXXXXX")
chmod 755 "$work" # Postgres does not run as root and needs access to its data in this directory
dev=
finish() {
  status=$?
  if [ -n "$dev" ] && kill -INT "$dev" 2>/dev/null; then
    wait "$dev" 2>/dev/null || true
  fi
  if [ "$status" -ne 0 ]; then
    printf '\nThe demo failed. Log of the stack:\n' >&2
    tail -n 40 "$work/dev.log" >&2 2>/dev/null || true
  fi
  rm -rf "$work"
  exit "$status"
}
trap finish EXIT

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

say '1. The stack: Postgres, Redis, two test CAs, the validation zone, a playground DNS'
(umask 077 && : >"$work/dev.log") # it will contain the passwords of Postgres and Redis
bin/dcvaas dev --dir "$work/state" --free-ports >"$work/dev.log" 2>&1 &
dev=$!
for _ in $(seq 600); do
  [ -s "$work/state/dev.env" ] && break
  kill -0 "$dev" 2>/dev/null || exit 1
  sleep 0.1
done
# shellcheck source=/dev/null
. "$work/state/dev.env"
sed -n '1,12p' "$work/dev.log"

say '2. terraform apply: a domain, its one CNAME, the wait, the certificate'
cp -R examples/quickstart "$work/quickstart"
cd "$work/quickstart"
rm -rf .terraform .terraform.lock.hcl terraform.tfstate*
platform=$(go env GOOS)_$(go env GOARCH)
version=0.0.1
plugins=terraform.d/plugins/registry.terraform.io/dcvaas/dcvaas/$version/$platform
mkdir -p "$plugins"
cp "$OLDPWD/bin/terraform-provider-dcvaas" "$plugins/terraform-provider-dcvaas_v$version"
unset TF_CLI_CONFIG_FILE
export CHECKPOINT_DISABLE=1 TF_IN_AUTOMATION=1 TF_VAR_playground_url=$DCVAAS_PLAYGROUND_URL
terraform init -input=false -no-color | grep -E 'Installed|initialized!' || true
terraform apply -input=false -auto-approve -no-color

say '3. The certificate, verified against the root of the CA that issued it'
terraform output -raw fullchain_pem >fullchain.pem
openssl x509 -in fullchain.pem -noout -subject -issuer -serial -dates -ext subjectAltName
openssl verify -CAfile "$DCVAAS_CA_ROOTS" -untrusted fullchain.pem fullchain.pem

say '4. A plan afterwards'
terraform plan -input=false -detailed-exitcode -no-color

say 'Done: terraform apply issued the certificate above, with one CNAME and ACME DNS-01.'
