# Writes the digest of each image that comes from elsewhere into .env, as the registry shows it today: Compose then takes
# these bytes and no others. Run by `make pin`: before the first start, and whenever you mean to take newer ones.
set -eu
umask 077
names='PYTHON_IMAGE POSTGRES_IMAGE REDIS_IMAGE IB_GATEWAY_IMAGE'
touch .env
for name in $names; do
  image=$(sed -n "s/.*\${$name:-\([^}]*\)}.*/\1/p" docker-compose.yaml | head -n 1)
  docker pull --quiet "$image" >/dev/null
  digest=$(docker image inspect --format '{{index .RepoDigests 0}}' "$image")
  case $digest in *@sha256:*) ;; *) echo "$image has no digest: is it from a registry?" >&2; exit 1 ;; esac
  grep -v "^$name=" .env >.env.new || true
  echo "$name=$image@${digest##*@}" >>.env.new
  mv .env.new .env
  echo "$name=$image@${digest##*@}"
done
chmod 600 .env
