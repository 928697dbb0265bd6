#!/bin/bash
# Does this container's process work? For Docker, which asks often: nothing is started that costs more than a moment.
#   healthy proof SECONDS            the file PROOF_FILE is younger
#   healthy answers PORT PATH CODE   HTTP, here
set -eu
case "$1" in
  proof)
    given=$(stat -c %Y "$PROOF_FILE") || { echo "nothing was proven yet"; exit 1; }
    age=$(($(date +%s) - given))
    echo "proven $age s ago"
    [ "$age" -le "$2" ]
    ;;
  answers)
    exec 3<>"/dev/tcp/127.0.0.1/$2"
    printf 'GET %s HTTP/1.0\r\nHost: 127.0.0.1:%s\r\n\r\n' "$3" "$2" >&3
    read -r -t 10 _ code _ <&3
    echo "$3 answers $code"
    [ "$code" = "$4" ]
    ;;
esac
