case $TRADING_MODE in
  paper) ports="4004 4002" ;;
  live) ports="4003 4001" ;;
esac
python /opt/gateway/forward.py $ports &
exec rebalancer sandbox gateway --host 127.0.0.1 --port "${ports#* }" --control-port 4005 --data /data/books.json
