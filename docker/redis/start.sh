# The password comes over standard input: arguments can be seen by every process of the host.
set -eu
password=$(cat /run/secrets/redis-password)
exec redis-server /etc/rebalancer-redis.conf - <<EOF
requirepass $password
EOF
