# Makes what docker-compose.yaml mounts, once: nothing that exists is touched. Run by `make secrets`.
set -eu

random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
keep() { # FILE TEXT; readable for the containers' users, behind a folder that only you can enter
  [ -e "secrets/$1" ] || printf '%s\n' "$2" >"secrets/$1"
  chmod 644 "secrets/$1"
}

mkdir -p config secrets
chmod 700 secrets
for name in database-owner-password database-password redis-password management-api-key; do keep "$name" "$(random)"; done
keep flower-login "rebalancer:$(random)"
keep vnc-password "$(random | cut -c1-8)" # VNC reads no more than eight characters
for name in realtime-api-key allocations-api-key ib-password; do
  keep "$name" ""
  [ -n "$(cat "secrets/$name")" ] || echo "put your own into secrets/$name"
done
for name in accounts.yaml replacement-sets.yaml; do [ -e "config/$name" ] || cp "$name" config/; done
[ -e .env ] || printf '%s\n' "COMPOSE_PROFILES=paper" "IB_USERNAME=" >.env
chmod 644 .env
echo "then: your accounts in config/accounts.yaml, your user name in .env, docker compose up -d"
