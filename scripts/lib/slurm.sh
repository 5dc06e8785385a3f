# shellcheck shell=bash
# Owns a Slurm of one node on this machine: its programs out of the distribution's packages, its daemons, their end.
# Promises: real munged, slurmctld and slurmd with a configuration, keys and ports of their own; they listen on this machine alone, and end
#   with slurm_stop.
# Never lets a package start a service on this machine, and never touches a Slurm that is here already.
#
# setup.sh is read before.

# Looks until a daemon answers, a tenth of a second each.
readonly SLURM_LOOKS_MAX=300
readonly SLURM_PACKAGES=(slurmctld slurmd slurm-client slurm-wlm-basic-plugins munge)

slurm_daemons=()
slurm_words=()

# slurm_get FOLDER: the programs are in FOLDER/root; not 0 where this distribution does not have them.
slurm_get() {
    local folder=$1 package
    slurm_root=$folder/root
    for package in "${SLURM_PACKAGES[@]}"; do
        [ -n "$(candidate "$package")" ] || { apt_update; [ -n "$(candidate "$package")" ] || return 1; }
    done
    # shellcheck disable=SC2046 # names of packages
    need_packages $(apt-cache depends --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces "${SLURM_PACKAGES[@]}" |
        sed -nE 's/^  Depends: ((lib|zlib)[a-z0-9.+-]+)$/\1/p' | sort -u)
    if [ ! -e "$folder/complete" ]; then
        rm -rf "$folder"
        mkdir -p "$folder"
        (cd "$folder" && retry_mirror apt-get -qq -o APT::Sandbox::User=root download "${SLURM_PACKAGES[@]}")
        for package in "$folder"/*.deb; do dpkg -x "$package" "$slurm_root"; done
        rm "$folder"/*.deb
        touch "$folder/complete"
    fi
    slurm_plugins=$(echo "$slurm_root"/usr/lib/*/slurm-wlm)
    [ -x "$slurm_root/usr/sbin/slurmctld-wlm" ] && [ -d "$slurm_plugins" ]
}

# slurm COMMAND…: one of its programs. (A daemon is started by slurm_words alone: of a function, `$!` is the shell's.)
slurm() { "${slurm_words[@]}" "$@"; }

# slurm_free_port: one that nobody listens on.
slurm_free_port() { /usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# slurm_start FOLDER CPUS: its state lies in the folder.
slurm_start() {
    local name user looks
    slurm_work=$1
    slurm_words=(env LD_LIBRARY_PATH="$slurm_plugins" PATH="$slurm_root/usr/bin:$slurm_root/usr/sbin:$PATH" SLURM_CONF="$slurm_work/slurm.conf")
    name=$(hostname -s)
    user=$(id -un)
    need_packages python3
    mkdir -p "$slurm_work"/{state,spool,log,munge}
    chmod 711 "$slurm_work/munge"
    head -c 128 /dev/urandom >"$slurm_work/munge/key"
    chmod 400 "$slurm_work/munge/key"
    # No cgroups and no accounting: tasks are followed by their parents. What is requeued starts as soon as its credential has run out.
    cat >"$slurm_work/slurm.conf" <<END
ClusterName=shards
SlurmctldHost=$name(127.0.0.1)
SlurmctldPort=$(slurm_free_port)
SlurmdPort=$(slurm_free_port)
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/munge
CredType=cred/munge
AuthInfo=cred_expire=5,socket=$slurm_work/munge/socket
PluginDir=$slurm_plugins
StateSaveLocation=$slurm_work/state
SlurmdSpoolDir=$slurm_work/spool
SlurmctldPidFile=$slurm_work/slurmctld.pid
SlurmdPidFile=$slurm_work/slurmd.pid
SlurmctldLogFile=$slurm_work/log/slurmctld
SlurmdLogFile=$slurm_work/log/slurmd
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SwitchType=switch/none
MpiDefault=none
MailProg=/bin/true
KillWait=2
MinJobAge=3600
NodeName=$name NodeAddr=127.0.0.1 CPUs=$2 State=UNKNOWN
PartitionName=rehearsal Nodes=ALL Default=YES MaxTime=30 State=UP
END
    "${slurm_words[@]}" munged --foreground --force --key-file="$slurm_work/munge/key" --socket="$slurm_work/munge/socket" --pid-file="$slurm_work/munge/pid" \
        --log-file="$slurm_work/log/munged" --seed-file="$slurm_work/munge/seed" --num-threads=2 >/dev/null 2>"$slurm_work/log/munged.errors" &
    slurm_daemons=($!)
    for looks in $(seq "$SLURM_LOOKS_MAX"); do
        [ ! -S "$slurm_work/munge/socket" ] || break
        sleep 0.1
    done
    "${slurm_words[@]}" slurmctld-wlm -D >/dev/null 2>&1 &
    slurm_daemons=($! "${slurm_daemons[@]}")
    "${slurm_words[@]}" slurmd-wlm -D -d "$slurm_root/usr/sbin/slurmstepd-wlm" >/dev/null 2>&1 &
    slurm_daemons=($! "${slurm_daemons[@]}")
    for looks in $(seq "$SLURM_LOOKS_MAX"); do
        if [ "$(slurm sinfo --noheader --format %t 2>/dev/null)" = idle ]; then
            echo "    $(slurm sinfo --version): munged, slurmctld and slurmd run, with $2 processors"
            return 0
        fi
        sleep 0.1
    done
    tail -n 20 "$slurm_work"/log/* || true
    echo "Slurm's node is not idle after $looks looks"
    return 1
}

# slurm_stop: slurmd, then slurmctld, then munged; each is given time, and then killed.
slurm_stop() {
    local daemon looks
    [ "${#slurm_daemons[@]}" -gt 0 ] || return 0
    slurm scancel --state=PENDING,RUNNING --user="$(id -un)" 2>/dev/null || true
    for daemon in "${slurm_daemons[@]}"; do
        kill "$daemon" 2>/dev/null || continue
        for looks in $(seq 100); do
            kill -0 "$daemon" 2>/dev/null || break
            sleep 0.1
        done
        [ "$looks" -lt 100 ] || kill -9 "$daemon" 2>/dev/null || true
        wait "$daemon" 2>/dev/null || true
    done
    slurm_daemons=()
}
