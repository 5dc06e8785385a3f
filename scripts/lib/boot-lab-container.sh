# shellcheck shell=bash
# shellcheck disable=SC2154 # lab and lab_mnt come from the caller
# Owns what the container shows of the shipped unit under the real systemd: order, refusal, exit codes, the technician's way out,
#   the probe for a running application, the hardening.
# Promises: each check is a sentence, printed when it holds; the first that does not ends the checks with what was seen.
# Never leaves a container running.
#
# boot-lab.sh is read before; `lab` and `lab_mnt` are its folders.

container_supervisor=""
container_leader=""

# container_boot DATA [WORD…]: boots the image with this folder as /var/lib/gateway.
container_boot() {
    local data=$1 tries
    shift
    systemd-nspawn --quiet --boot --register=no --keep-unit --private-network --link-journal=no --console=pipe --machine=bootlab \
        --volatile=overlay --directory="$lab_mnt/root" --bind="$data:/var/lib/gateway" systemd.show_status=0 "$@" \
        </dev/null >"$lab/container.log" 2>&1 &
    container_supervisor=$!
    for tries in $(seq 600); do
        container_leader=$(pgrep --parent "$container_supervisor" --exact systemd || true)
        [ -z "$container_leader" ] || return 0
        sleep 0.1
    done
    container_bad "the container did not start after $tries looks: $(cat "$lab/container.log")"
}

container_kill() {
    [ -z "$container_leader" ] || kill -9 "$container_leader" 2>/dev/null || true
    [ -z "$container_supervisor" ] || wait "$container_supervisor" 2>/dev/null || true
    container_leader="" container_supervisor=""
}

# inside PROGRAM…: in the container, as root.
inside() { nsenter --all --target "$container_leader" -- "$@"; }

# As the technician on the serial console.
state_of() { inside systemctl show --value --property="$2" "$1.service"; }

# The unit's state and the program's exit code.
ended_as() { printf '%s %s' "$(state_of bootmigrate ActiveState)" "$(state_of bootmigrate ExecMainStatus)"; }

container_bad() {
    echo "    BAD: $*"
    inside journalctl --no-pager --output=cat --lines=40 || true
    container_kill
    return 1
}

# Waits until every unit of the boot has come to its end, good or bad.
container_booted() {
    local tries state=""
    for tries in $(seq 900); do
        state=$(inside systemctl is-system-running 2>/dev/null || true)
        case $state in running | degraded) return 0 ;; esac
        sleep 0.1
    done
    container_bad "the boot did not come to its end after $tries looks: $state"
}

# holds SENTENCE WANTED FOUND
holds() {
    if [ "$2" = "$3" ]; then echo "    $1: $3"; else container_bad "$1: $3, and it should be $2"; fi
}

# holds_text SENTENCE PATTERN TEXT
holds_text() {
    if grep --quiet --extended-regexp "$2" <<<"$3"; then
        echo "    $1: $(grep --extended-regexp --max-count=1 "$2" <<<"$3" | cut -c 1-150)"
    else
        container_bad "$1: $2 is not in: $3"
    fi
}

run_journal() { inside journalctl --no-pager --output=cat --unit=bootmigrate.service; }

# The device of the lab, every database in its own situation: an ordinary boot, and a quiet one.
container_order() {
    container_boot "$1"
    container_booted
    holds "The run ends" "active 11" "$(ended_as)"
    holds "The application that requires it is" active "$(state_of gateway ActiveState)"
    holds "The application that needs one ready file is" active "$(state_of telemetry-agent ActiveState)"
    local run application
    run=$(state_of bootmigrate ExecMainExitTimestampMonotonic)
    application=$(state_of gateway ExecMainStartTimestampMonotonic)
    if [ "$run" -eq 0 ] || [ "$run" -ge "$application" ]; then
        container_bad "the application started at $application, before the run's end at $run"
    fi
    echo "    The application starts after the run's end: $(((application - run) / 1000)) ms"
    container_kill
    container_boot "$1"
    container_booted
    holds "The next boot's exit code is" 0 "$(state_of bootmigrate ExecMainStatus)"
    container_kill
}

# A file that nothing can repair, but the technician's word.
container_refusal() {
    rm -rf "$1/.bootmigrate/settings.db/snapshots"
    dd if=/dev/zero of="$1/settings.db" bs=16 count=1 conv=notrunc status=none
    container_boot "$1"
    container_booted
    holds "A damaged file without a snapshot ends the run" "failed 17" "$(ended_as)"
    holds "The application that requires it is refused" "inactive" "$(state_of gateway ActiveState)"
    holds "The other one, whose database is ready, is" active "$(state_of telemetry-agent ActiveState)"
    local code=0
    inside systemctl stop telemetry-agent.service
    inside setpriv --reuid=gateway --regid=gateway --clear-groups bootmigrate --purge-and-retry >"$lab/container.log" 2>&1 || code=$?
    holds "The technician's --purge-and-retry ends with" 11 "$code"
    sed 's/^/        /' "$lab/container.log" | cut -c 1-150
    inside systemctl start gateway.service
    holds "Then the application is" active "$(state_of gateway ActiveState)"
    holds "And the run before it ended with" 0 "$(state_of bootmigrate ExecMainStatus)"
    container_kill
}

# Somebody has a database open while the unit starts: found under the whole hardening.
container_probe() {
    container_boot "$1" systemd.unit=basic.target
    container_booted
    inside systemd-run --quiet --unit=holder --uid=gateway sh -c \
        '{ echo "SELECT count(*) FROM sensor;"; exec sleep infinity; } | exec sqlite3 /var/lib/gateway/archive.db'
    local tries
    for tries in $(seq 600); do
        inside journalctl --no-pager --output=cat --unit=holder.service | grep -q '^4[0-9]$' && break
        sleep 0.1
    done
    if inside systemctl start bootmigrate.service 2>/dev/null; then container_bad "the run was good beside an application ($tries looks)"; fi
    holds "With its database open the run ends" "failed 13" "$(ended_as)"
    holds_text "It names who has it open" "archive: .*sqlite3.*BM-13" "$(run_journal)"
    inside systemctl stop holder.service
    inside systemctl start bootmigrate.service
    holds "Without it the run ends with" 0 "$(state_of bootmigrate ExecMainStatus)"
    container_kill
}

# What the unit's own process may do: asked by a step before the program, in the same sandbox.
container_hardening() {
    container_boot "$1" systemd.unit=basic.target
    container_booted
    inside mkdir -p /run/systemd/system/bootmigrate.service.d
    inside sh -c 'cat >/run/systemd/system/bootmigrate.service.d/look.conf' <<'UNIT'
[Service]
ExecStartPre=/bin/sh -c 'grep -E "^(CapEff|CapBnd|NoNewPrivs|Seccomp):" /proc/self/status; id -un; for file in /usr/x /etc/x /var/x /tmp/x; do touch $file; done; unshare --user true; ls /home/.; touch /var/lib/gateway/x && rm /var/lib/gateway/x && echo own folder: writable'
UNIT
    inside systemctl daemon-reload
    inside systemctl start bootmigrate.service
    local seen
    seen=$(run_journal)
    holds_text "Its user" "^gateway$" "$seen"
    holds_text "Its capabilities" "^CapEff:.0000000000000000" "$seen"
    holds_text "Its bounding set" "^CapBnd:.0000000000000000" "$seen"
    holds_text "No new privileges" "^NoNewPrivs:.1" "$seen"
    holds_text "A filter of system calls" "^Seccomp:.2" "$seen"
    local place
    for place in /usr /etc /var /tmp; do holds_text "$place" "touch: .*'$place/x': Read-only file system" "$seen"; done
    holds_text "Its own folder" "^own folder: writable" "$seen"
    holds_text "No name spaces" "unshare: .*Operation not permitted" "$seen"
    holds_text "No homes" "ls: .*/home/.*: Permission denied" "$seen"
    holds "And in it the run ends with" 0 "$(state_of bootmigrate ExecMainStatus)"
    container_kill
}
