# Writes the digest of each image that comes from elsewhere into .env, as the registry shows it today: Compose then takes
# these bytes and no others. Run by `make pin`: before the first start, and whenever you mean to take newer ones.
set -eu
umask 077
touch .env

pin() { # NAME IMAGE
  docker pull --quiet "$2" >/dev/null
  digest=$(docker image inspect --format '{{index .RepoDigests 0}}' "$2")
  case $digest in *@sha256:*) ;; *) echo "$2 has no digest: is it from a registry?" >&2; exit 1 ;; esac
  grep -v "^$1=" .env >.env.new || true
  echo "$1=$2@${digest##*@}" >>.env.new
  mv .env.new .env
  echo "$1=$2@${digest##*@}"
}

for name in PYTHON_IMAGE POSTGRES_IMAGE REDIS_IMAGE IB_GATEWAY_IMAGE; do
  pin "$name" "$(sed -n "s/.*\${$name:-\([^}]*\)}.*/\1/p" docker-compose.yaml | head -n 1)"
done
# Ours are built here, unless .env names a registry's; a digest that stands there somebody has verified (docs/images.md).
for name in REBALANCER_IMAGE REBALANCER_SANDBOX_IMAGE REBALANCER_REDIS_IMAGE; do
  image=$(sed -n "s/^$name=//p" .env | tail -n 1)
  case $image in "" | *@sha256:*) ;; *) pin "$name" "$image" ;; esac
done
chmod 600 .env
