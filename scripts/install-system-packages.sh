#!/usr/bin/env bash
# Installs what the build needs and is not there: Apache and its headers, libclang, a C compiler, Python's venv.
# usage: install-system-packages.sh [--tests]      --tests: also a browser, for the tests
set -euo pipefail
PATH="$PATH:/usr/sbin:/usr/local/sbin:/opt/homebrew/bin"
python="${PYTHON:-python3}"

say() { echo "==> $*"; }
have() { command -v "$1" >/dev/null 2>&1; }
has_any() { local name; for name in "$@"; do have "$name" && return; done; return 1; }
has_libclang() { compgen -G '/usr/lib*/libclang*.so*' || compgen -G '/usr/lib/*/libclang*.so*' || compgen -G '/usr/lib*/llvm*/lib/libclang*.so*' ||
    compgen -G '/Library/Developer/CommandLineTools/usr/lib/libclang.dylib' || compgen -G '/opt/homebrew/opt/llvm/lib/libclang.dylib'; } >/dev/null

case "$(command -v apt-get || command -v dnf || command -v brew || true)" in
*/apt-get) column=0 ;;
*/dnf) column=1 ;;
*/brew) column=2 ;;
*) column= ;;
esac

# need WHAT DEBIAN FEDORA MACOS: a package that is missing, by its name on each system; "-" where it has none.
missing=()
need() {
    local names=("${@:2}")
    if [ -z "$column" ]; then
        echo "error: $1 is missing, and there is no apt-get, dnf or brew to install it with: install it by hand" >&2
        exit 1
    fi
    [ "${names[column]}" = - ] || missing+=("${names[column]}")
}
has_any apache2 httpd || need Apache apache2 httpd httpd
has_any "${APXS:-apxs}" apxs2 mod_wsgi-apxs || need "Apache's headers (apxs)" apache2-dev httpd-devel httpd
has_libclang || need libclang libclang-dev clang-devel llvm
has_any cc gcc clang || need "a C compiler" build-essential gcc -
have "$python" || need Python python3 python3 python
"$python" -c 'import ensurepip, venv' 2>/dev/null || need "Python's venv" python3-venv - -
if [ "${1:-}" = --tests ]; then
    has_any chromedriver || need "a browser" "chromium chromium-driver" "chromium chromedriver" chromedriver
fi

if [ ${#missing[@]} -gt 0 ]; then
    # shellcheck disable=SC2206 # one entry may be two packages
    packages=(${missing[*]})
    sudo=()
    if [ "$(id -u)" != 0 ] && [ "$column" != 2 ]; then
        have sudo || { echo "error: as root, install ${packages[*]}" >&2; exit 1; }
        sudo=(sudo)
    fi
    say "install system packages: ${packages[*]}"
    case $column in
    0) "${sudo[@]}" apt-get update -q && "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qy "${packages[@]}" ;;
    1) "${sudo[@]}" dnf install -qy "${packages[@]}" ;;
    2) brew install "${packages[@]}" ;;
    esac
fi

if ! have cargo; then
    echo "error: Rust is missing: install it with  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh  and open a new shell" >&2
    exit 1
fi
