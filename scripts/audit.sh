#!/usr/bin/env bash
# What may be in the dependency tree: licences, sources, banned crates, and who may use what.
#
# It works offline and needs cargo, awk and nothing else, so that it can run wherever the tests run. What
# it cannot see needs the network: security advisories and yanked versions (`cargo deny check advisories`
# or `cargo audit`, by hand or on a timer).
set -euo pipefail
cd "$(dirname "$0")/.."

# Licences that ask for no more than their text and a copyright line. Of an "OR" one has to be here, of an
# "AND" all.
licences="MIT|Apache-2.0|Apache-2.0 WITH LLVM-exception|BSD-2-Clause|BSD-3-Clause|ISC|Zlib|0BSD|BSL-1.0|Unicode-3.0|Unlicense|CC0-1.0|CDLA-Permissive-2.0"

# TLS is rustls with ring, everywhere: smaller and quicker to start than the others, which also bring a C
# build each.
banned="openssl openssl-sys native-tls aws-lc-sys aws-lc-rs"

# The backbone: two versions of one of these in the tree are two runtimes, two pools, or types that do not
# meet. Elsewhere a second version costs bytes only.
single="tokio hyper http axum tower rustls ring serde serde_json libc sqlx opentelemetry opentelemetry_sdk tracing"

# CRATE=MEMBERS: only these members of the workspace may depend on it. It keeps SQL and the AWS SDK out of
# PID 1's own code.
wrappers="
sqlx=runmate-migrate,runmate-health,quickstart
aws-config=runmate-secrets
aws-sdk-secretsmanager=runmate-secrets
aws-sdk-ssm=runmate-secrets
aws-sigv4=runmate-secrets
aws-smithy-http-client=runmate-secrets
aws-smithy-runtime-api=runmate-secrets
aws-smithy-types=runmate-secrets
aws-credential-types=runmate-secrets
rustls-native-certs=runmate-secrets,runmate-health
tokio-rustls=runmate-health
redis=runmate-health
"

failed=0
problem() {
    echo "audit: $*" >&2
    failed=1
}

# One line per package: "name vVERSION (source)|licence". The tree rather than Cargo.lock, which also
# lists what is never built.
tree=$(cargo tree --locked --workspace --edges normal,build,dev --prefix none --format '{p}|{l}' |
    sed 's/ (\*)$//; /^$/d' | sort -u)

# 1. Sources: crates.io, or this repository.
while IFS= read -r line; do
    problem "$line: not from crates.io"
done < <(awk -F'"' '/^source = / && $2 != "registry+https://github.com/rust-lang/crates.io-index" { print $2 }' \
    Cargo.lock | sort -u)

# 2. Licences.
while IFS= read -r line; do
    problem "$line"
done < <(awk -F'|' -v allowed="$licences" '
    BEGIN { count = split(allowed, list, "|"); for (i = 1; i <= count; i++) known[list[i]] = 1 }
    {
        ors = $2
        gsub(/[()]/, "", ors)
        parts = split(ors, all, " AND ")
        for (i = 1; i <= parts; i++) {
            fine = 0
            choices = split(all[i], any, / OR | ?\/ ?/)
            for (j = 1; j <= choices; j++) if (any[j] in known) fine = 1
            if (!fine) { print $1 ": licence \"" $2 "\" is not in the list"; next }
        }
        if (parts == 0) print $1 ": no licence"
    }' <<<"$tree")

# 3. Banned crates.
for crate in $banned; do
    if grep -q "^$crate v" <<<"$tree"; then
        problem "$crate is banned but in the tree; see: cargo tree --invert $crate"
    fi
done

# 4. One version of the backbone.
for crate in $single; do
    versions=$(grep -o "^$crate v[^ |]*" <<<"$tree" | sort -u | paste -sd ' ' || true)
    [[ $versions != *" $crate "* ]] || problem "two versions: $versions; see: cargo tree --duplicates"
done

# 5. Who depends on what.
while IFS= read -r line; do
    problem "$line"
done < <(cargo tree --locked --workspace --depth 1 --edges normal,build --prefix depth --no-dedupe |
    awk -v wrappers="$wrappers" '
    BEGIN {
        count = split(wrappers, list, "\n")
        for (i = 1; i <= count; i++) if (split(list[i], pair, "=") == 2) allowed[pair[1]] = "," pair[2] ","
    }
    /^0/ { member = substr($1, 2) }
    /^1/ {
        crate = substr($1, 2)
        if (crate in allowed && index(allowed[crate], "," member ",") == 0)
            print member " must not depend on " crate
    }')

[[ $failed == 0 ]] || exit 1
echo "audit: $(wc -l <<<"$tree") packages, nothing to complain about"
