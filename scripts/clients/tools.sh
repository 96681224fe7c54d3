# What scripts/check-clients.sh, check-discovery.sh and check-browser.sh have in common: to be sourced, with `root` set.

# Installs the npm packages of scripts/clients/package-lock.json in a folder that is kept.
npm_tools() { # folder
    mkdir -p "$1"
    cmp -s "$root/scripts/clients/package-lock.json" "$1/package-lock.json" && return
    cp "$root/scripts/clients/"{package.json,.npmrc} "$1"
    cp "$root/scripts/clients/package-lock.json" "$1/wanted.json"
    (cd "$1" && cp wanted.json package-lock.json && npm ci --silent --no-audit --no-fund) || {
        rm -f "$1/package-lock.json"
        return 1
    }
}
