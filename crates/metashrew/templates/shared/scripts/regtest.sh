#!/usr/bin/env bash
# A regtest node of Bitcoin Core for this project alone. It has no wallet: blocks pay to a script that anyone can
# spend (`51`, OP_TRUE), so no transaction needs a signature. All it has is in `.regtest`; remove that to begin anew.
#
#   scripts/regtest.sh start        start the node, and tell how metashrew follows it
#   scripts/regtest.sh mine [N]     mine N blocks, or one
#   scripts/regtest.sh send OUTPUT...
#                                   send a transaction, which the next block takes; each OUTPUT is
#                                   ADDRESS=BTC, data=HEX (an OP_RETURN output, one at
#                                   most) or text=TEXT (the same)
#   scripts/regtest.sh reorg [N]    replace the last N blocks, or the last one, by N + 1 empty ones; what
#                                   was in them waits for the next `mine`
#   scripts/regtest.sh cli ARG...   run bitcoin-cli on it
#   scripts/regtest.sh stop         stop the node
#
# The node is $BITCOIND_EXE, or bitcoind on PATH, or what scripts/setup-bitcoind.sh has built.
set -euo pipefail
# One that is relative is so to where this was called.
[[ ${BITCOIND_EXE:-/} == /* ]] || BITCOIND_EXE=$PWD/$BITCOIND_EXE
cd "$(dirname "$0")/.."
folder=$PWD/.regtest
# What a block of 50 BTC can be spent for begins 100 blocks above it.
maturity=100

say() { printf 'regtest: %s\n' "$*" >&2; }
die() {
    printf 'regtest: error: %s\n' "$*" >&2
    exit 1
}

# Sets `bin`, the folder of bitcoind and bitcoin-cli.
find_node() {
    local built=${BITCOIND_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/bitcoind-0.2.0}/bin
    if [[ -n ${BITCOIND_EXE:-} ]]; then
        bin=$(dirname "$BITCOIND_EXE")
    elif command -v bitcoind >/dev/null; then
        bin=$(dirname "$(command -v bitcoind)")
    else
        bin=$built
    fi
    [[ -x $bin/bitcoind && -x $bin/bitcoin-cli ]] ||
        die "no bitcoind and bitcoin-cli in $bin; run scripts/setup-bitcoind.sh, which builds them once (about 6 minutes), or install Bitcoin Core (https://bitcoincore.org/en/download) and set BITCOIND_EXE to its bitcoind"
}

cli() { "$bin/bitcoin-cli" -datadir="$folder" "$@"; }

need_running() {
    cli getblockcount >/dev/null 2>&1 || die "the node does not run; start it: scripts/regtest.sh start"
}

tell_tip() {
    local height
    height=$(cli getblockcount)
    echo "block $height: $(cli getblockhash "$height")"
}

# A port that nobody listens at now.
free_port() {
    local port
    for ((port = 18443; port < 18643; port++)); do
        if ! (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            echo "$port"
            return
        fi
    done
    die "no port from 18443 to 18642 is free"
}

configure() {
    mkdir -p "$folder"
    # Transactions need neither fees nor a standard form.
    cat >"$folder/bitcoin.conf.new" <<END
regtest=1
[regtest]
server=1
rest=1
listen=0
rpcport=$(free_port)
acceptnonstdtxn=1
minrelaytxfee=0
blockmintxfee=0
dustrelayfee=0
END
    mv "$folder/bitcoin.conf.new" "$folder/bitcoin.conf"
}

start() {
    [[ -e $folder/bitcoin.conf ]] || configure
    if cli getblockcount >/dev/null 2>&1; then
        say "the node runs already"
    else
        "$bin/bitcoind" -datadir="$folder" -daemonwait >/dev/null ||
            die "the node did not start; see $folder/regtest/debug.log (if another program has its port: change \`rpcport\` in .regtest/bitcoin.conf)"
    fi
    local port
    port=$(sed -n 's/^rpcport=//p' "$folder/bitcoin.conf")
    say "metashrew follows it with: --network regtest --rpc-url http://127.0.0.1:$port --cookie-file .regtest/regtest/.cookie --rest"
    tell_tip
}

mine() {
    check_count "$1"
    need_running
    cli generatetodescriptor "$1" 'raw(51)' >/dev/null
    tell_tip
}

check_count() { [[ $1 =~ ^[1-9][0-9]{0,5}$ ]] || die "\`$1\` is no number of blocks, 1 to 999999"; }

# An amount of BTC in satoshi.
satoshi() {
    [[ $1 =~ ^([0-9]{1,8})(\.([0-9]{1,8}))?$ ]] || die "\`$1\` is no amount of BTC, such as 0.5"
    local fraction=${BASH_REMATCH[3]}00000000
    echo $((10#${BASH_REMATCH[1]} * 100000000 + 10#${fraction:0:8}))
}

# Coins that can be spent in the next block, the oldest first: txid, number, satoshi.
coins() {
    local tip height txid vout amount
    tip=$(cli getblockcount)
    cli scantxoutset start '["raw(51)"]' | awk -F'[":, ]+' '
        $2 == "txid" { txid = $3 }
        $2 == "vout" { vout = $3 }
        $2 == "amount" { amount = $3 }
        $2 == "height" && txid { print $3, txid, vout, amount; txid = "" }
    ' | sort -n | while read -r height txid vout amount; do
        ((height + maturity <= tip + 1)) || break
        # Nothing is printed of what a waiting transaction spends.
        if [[ -n $(cli gettxout "$txid" "$vout" true) ]]; then
            echo "$txid $vout $(satoshi "$amount")"
        fi
    done
}

send() {
    local output hex inputs='' outputs='' wanted=0 has=0 txid vout amount
    (($#)) || die "no outputs are given, such as: send text=hello; scripts/regtest.sh help tells more"
    for output; do
        case $output in
        data=* | text=*)
            [[ $outputs != *'{"data":'* ]] || die "only one output may be data=HEX or text=TEXT"
            hex=${output#*=}
            if [[ $output == text=* ]]; then hex=$(printf %s "$hex" | od -An -v -tx1 | tr -d ' \n'); fi
            [[ $hex =~ ^([0-9a-fA-F]{2})+$ ]] || die "\`$output\` has no bytes in hex"
            outputs+=",{\"data\":\"$hex\"}"
            ;;
        [a-zA-Z0-9]*=*)
            amount=$(satoshi "${output#*=}")
            wanted=$((wanted + amount))
            outputs+=",{\"${output%%=*}\":${output#*=}}"
            ;;
        *) die "\`$output\` is no output: ADDRESS=BTC, data=HEX or text=TEXT" ;;
        esac
    done
    need_running
    while read -r txid vout amount; do
        inputs+=",{\"txid\":\"$txid\",\"vout\":$vout}"
        has=$((has + amount))
        if ((has >= wanted)); then break; fi
    done < <(coins)
    [[ -n $inputs ]] || die "no coin can be spent yet: a block's can after $maturity more; run: scripts/regtest.sh mine $((maturity + 1))"
    ((has >= wanted)) || die "the coins that can be spent are not enough; mine more blocks"
    # Nothing comes back to an address: what is left is the fee, which the next block pays to `51` again.
    hex=$(cli createrawtransaction "[${inputs#,}]" "[${outputs#,}]")
    cli sendrawtransaction "$hex" 0
}

reorg() {
    check_count "$1"
    need_running
    local tip mark
    tip=$(cli getblockcount)
    (($1 <= tip)) || die "there are only $tip blocks"
    cli invalidateblock "$(cli getblockhash $((tip - $1 + 1)))"
    # The first new block pays to a script of its own, so that it is none that was there before.
    mark=$(od -An -N4 -tx1 /dev/urandom | tr -d ' \n')
    cli generateblock "raw(04${mark}7551)" '[]' >/dev/null
    for ((; tip >= $(cli getblockcount); )); do
        cli generateblock 'raw(51)' '[]' >/dev/null
    done
    tell_tip
}

stop() {
    need_running
    local pid
    pid=$(<"$folder/regtest/bitcoind.pid")
    cli stop >/dev/null
    for ((waited = 0; waited < 600; waited++)); do
        kill -0 "$pid" 2>/dev/null || return 0
        sleep 0.1
    done
    die "the node has not ended after a minute (process $pid)"
}

case ${1:-} in
start | stop)
    find_node
    "$1"
    ;;
mine | reorg)
    find_node
    "$1" "${2:-1}"
    ;;
send)
    find_node
    send "${@:2}"
    ;;
cli)
    find_node
    cli "${@:2}"
    ;;
*)
    sed -n '2,/^set/ s/^# \{0,1\}//p' "scripts/${0##*/}" >&2
    [[ ${1:-} == help ]] || exit 2
    ;;
esac
