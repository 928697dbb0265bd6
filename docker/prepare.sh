# Makes what docker-compose.yaml mounts, once: nothing that exists is touched. Run by `make secrets`.
set -eu
umask 077

random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
keep() { # FILE TEXT; readable for the containers' users, behind a folder that only you can enter
  [ -e "secrets/$1" ] || printf '%s\n' "$2" >"secrets/$1"
  chmod 644 "secrets/$1"
}

mkdir -p config secrets/settings
chmod 700 secrets
chmod 755 secrets/settings
[ ! -e secrets/settings.env ] || mv secrets/settings.env secrets/settings/ # where an earlier release had it
for name in database-owner-password database-password redis-password management-api-key backup-key; do
  keep "$name" "$(random)"
done
keep flower-login "rebalancer:$(random)"
keep vnc-password "$(random | cut -c1-8)" # VNC reads no more than eight characters
for name in realtime-api-key allocations-api-key ib-password; do
  keep "$name" ""
  [ -n "$(cat "secrets/$name")" ] || echo "put your own into secrets/$name"
done
keep ib-password-live "" # before live
keep ib-password-second "" # before a second login
for name in accounts.yaml replacement-sets.yaml; do [ -e "config/$name" ] || cp "$name" config/; done
chmod 755 config
chmod 644 config/*.yaml # the containers' users are nobody on this machine
chmod -R a+rX docker/gateway

# .env is Compose's, for your eyes only; the settings of the rebalancer stand where its containers may read them.
[ -e .env ] || printf '%s\n' "COMPOSE_PROFILES=paper" "IB_USERNAME=" >.env
# Under this name Compose keeps containers and ledger, whatever the folder is called one day.
grep -q '^COMPOSE_PROJECT_NAME=' .env || printf 'COMPOSE_PROJECT_NAME=%s\n' "$(basename "$PWD" |
  tr '[:upper:]' '[:lower:]' | tr -cd 'a-z0-9_-' | sed 's/^[_-]*//')" >>.env
chmod 600 .env
names=$(sed -n 's/.*${\([A-Z_]*\).*/\1/p' docker-compose.yaml | sort -u | tr '\n' '|')
composes="^[[:space:]]*(export[[:space:]]+)?(${names}COMPOSE_[A-Z_]*|IB_PASSWORD|VNC_PASSWORD)[[:space:]]*="
if [ ! -e secrets/settings/settings.env ]; then
  grep -vE "$composes" .env >secrets/settings/settings.env || true
  grep -E "$composes" .env >.env.new || true
  mv .env.new .env
fi
chmod 644 secrets/settings/settings.env
ignored=$(grep -vE "$composes|^[[:space:]]*(#|$)" .env | cut -d= -f1 | tr '\n' ' ')
[ -z "$ignored" ] || echo "move to secrets/settings/settings.env, since nobody reads it in .env: $ignored"
echo "keep a copy of secrets/backup-key elsewhere: no backup is believed without it (docs/backup.md)"
echo "then: your accounts in config/accounts.yaml, your user name in .env, docker compose up -d"
