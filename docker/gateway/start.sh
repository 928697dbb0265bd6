#!/bin/bash
# Starts the gateway's image as it is meant to be started, and keeps a copy of what it says: who logs the gateway in tells
# only its standard output how far that is, and beat reads it (GATEWAY_LOG).
#   start.sh FILE COMMAND...
set -eu
log=$1 most=262144 kept=65536
shift

# The whole output goes on to Docker; FILE has the last part of it, from the beginning of a line on.
keep() {
  set +e # a full disk is told with each line, and ends nothing
  local line size
  size=$(stat -c %s "$log" 2>/dev/null || echo 0)
  while IFS= read -r line || [ -n "$line" ]; do
    printf '%s\n' "$line"
    printf '%s\n' "$line" >>"$log"
    size=$((size + ${#line} + 1))
    if [ "$size" -gt "$most" ]; then
      tail -c "$kept" "$log" | tail -n +2 >"$log.new" && mv "$log.new" "$log"
      size=$kept
    fi
  done
}

# The image sets the time zone in which the gateway restarts only when its settings are new: here a changed one counts.
settings=${TWS_SETTINGS_PATH:-}/jts.ini
[ ! -f "$settings" ] || sed -i "s|^TimeZone=.*|TimeZone=${TIME_ZONE:?}|" "$settings"

exec > >(keep) 2>&1
# Without these the image waits at its login's window, and nothing says why.
[ -n "${TWS_USERID-none}" ] || echo "the user name is empty: IB_USERNAME in .env (IB_USERNAME_LIVE, IB_USERNAME_SECOND)"
[ ! -f "${TWS_PASSWORD_FILE-}" ] || [ -n "$(cat "$TWS_PASSWORD_FILE")" ] ||
  echo "the password is empty: secrets/${TWS_PASSWORD_FILE##*/}"
exec "$@" # in our place: the signals of a stop are for it
