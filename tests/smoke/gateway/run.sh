#!/bin/bash
# What it says of the login goes to its output, as IBC's words do; its settings go where the variable says.
mkdir -p "$TWS_SETTINGS_PATH"
case $TRADING_MODE in
  paper) ports="4004 4002" ;;
  live) ports="4003 4001" ;;
esac
python "$(dirname "$0")/forward.py" $ports &
exec rebalancer sandbox gateway --host 127.0.0.1 --port "${ports#* }" --control-port 4005 \
  --data "$TWS_SETTINGS_PATH/books.json" --login-log /dev/stdout ${ACCOUNTS:+--accounts "$ACCOUNTS"}
