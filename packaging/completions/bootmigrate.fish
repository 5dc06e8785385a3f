# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_bootmigrate_global_optspecs
    string join \n json purge-and-retry db= config= root= v q h/help V/version
end

function __fish_bootmigrate_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_bootmigrate_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_bootmigrate_using_subcommand
    set -l cmd (__fish_bootmigrate_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c bootmigrate -n "__fish_bootmigrate_needs_command" -l db -d 'only this database; without it all of them' -r
complete -c bootmigrate -n "__fish_bootmigrate_needs_command" -l config -d 'instead of /etc/bootmigrate.toml' -r -F
complete -c bootmigrate -n "__fish_bootmigrate_needs_command" -l root -d 'put before every path; mounts are not checked under it' -r -f -a "(__fish_complete_directories)"
complete -c bootmigrate -n "__fish_bootmigrate_needs_command" -l json -d 'print facts as JSON'
complete -c bootmigrate -n "__fish_bootmigrate_needs_command" -l purge-and-retry -d 'also: what fails or is damaged is set aside and rebuilt'
complete -c bootmigrate -n "__fish_bootmigrate_needs_command" -s v -d 'say each migration'
complete -c bootmigrate -n "__fish_bootmigrate_needs_command" -s q -d 'print only errors'
complete -c bootmigrate -n "__fish_bootmigrate_needs_command" -s h -l help -d 'Print help'
complete -c bootmigrate -n "__fish_bootmigrate_needs_command" -s V -l version -d 'Print version'
complete -c bootmigrate -n "__fish_bootmigrate_needs_command" -f -a "run" -d 'what the unit does at boot'
complete -c bootmigrate -n "__fish_bootmigrate_needs_command" -f -a "status" -d 'versions and state'
complete -c bootmigrate -n "__fish_bootmigrate_needs_command" -f -a "plan" -d 'what the next boot would do, and why'
complete -c bootmigrate -n "__fish_bootmigrate_needs_command" -f -a "rehearse" -d 'the real migration on a copy, thrown away'
complete -c bootmigrate -n "__fish_bootmigrate_needs_command" -f -a "ready" -d 'may an application open it?'
complete -c bootmigrate -n "__fish_bootmigrate_needs_command" -f -a "migrate" -d 'apply pending migrations, all or some'
complete -c bootmigrate -n "__fish_bootmigrate_needs_command" -f -a "rollback" -d 'go back by the down SQL that was stored when it was applied'
complete -c bootmigrate -n "__fish_bootmigrate_needs_command" -f -a "data" -d 'migrations of rows, beside running applications'
complete -c bootmigrate -n "__fish_bootmigrate_needs_command" -f -a "snapshot" -d 'copies of each database'
complete -c bootmigrate -n "__fish_bootmigrate_needs_command" -f -a "quarantine" -d 'database files that were replaced'
complete -c bootmigrate -n "__fish_bootmigrate_needs_command" -f -a "lost" -d 'rows that have no place in the schema'
complete -c bootmigrate -n "__fish_bootmigrate_needs_command" -f -a "doctor" -d 'look at everything, and name the repair'
complete -c bootmigrate -n "__fish_bootmigrate_needs_command" -f -a "scrub" -d 'read every page, slowly, beside the applications'
complete -c bootmigrate -n "__fish_bootmigrate_needs_command" -f -a "salvage" -d 'for a bench: every row that can be read, into a new file'
complete -c bootmigrate -n "__fish_bootmigrate_needs_command" -f -a "bundle" -d 'all that support needs, in one file; no rows'
complete -c bootmigrate -n "__fish_bootmigrate_needs_command" -f -a "mark-good" -d 'this slot is good: what was kept for the way back may go'
complete -c bootmigrate -n "__fish_bootmigrate_needs_command" -f -a "baseline" -d 'take over a database that another tool made, then run'
complete -c bootmigrate -n "__fish_bootmigrate_needs_command" -f -a "purge" -d 'set this database aside and rebuild it'
complete -c bootmigrate -n "__fish_bootmigrate_needs_command" -f -a "wipe" -d 'factory reset: remove all of it for good'
complete -c bootmigrate -n "__fish_bootmigrate_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand run" -l db -d 'only this database; without it all of them' -r
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand run" -l config -d 'instead of /etc/bootmigrate.toml' -r -F
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand run" -l root -d 'put before every path; mounts are not checked under it' -r -f -a "(__fish_complete_directories)"
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand run" -l json -d 'print facts as JSON'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand run" -l retry -d 'forget the counted tries; purges nothing'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand run" -l purge-and-retry -d 'also: what fails or is damaged is set aside and rebuilt'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand run" -s v -d 'say each migration'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand run" -s q -d 'print only errors'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand run" -s h -l help -d 'Print help'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand status" -l format -d 'text, json, prometheus or mender' -r -f -a "text\t''
json\t''
prometheus\t''
mender\t''"
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand status" -l db -d 'only this database; without it all of them' -r
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand status" -l config -d 'instead of /etc/bootmigrate.toml' -r -F
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand status" -l root -d 'put before every path; mounts are not checked under it' -r -f -a "(__fish_complete_directories)"
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand status" -l json -d 'print facts as JSON'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand status" -l exit-code -d 'answer with the exit code that a run would have'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand status" -s v -d 'say each migration'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand status" -s q -d 'print only errors'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand status" -s h -l help -d 'Print help'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand plan" -l db -d 'only this database; without it all of them' -r
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand plan" -l config -d 'instead of /etc/bootmigrate.toml' -r -F
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand plan" -l root -d 'put before every path; mounts are not checked under it' -r -f -a "(__fish_complete_directories)"
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand plan" -l json -d 'print facts as JSON'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand plan" -l sql -d 'print the SQL too'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand plan" -s v -d 'say each migration'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand plan" -s q -d 'print only errors'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand plan" -s h -l help -d 'Print help'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand rehearse" -l db -d 'only this database; without it all of them' -r
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand rehearse" -l config -d 'instead of /etc/bootmigrate.toml' -r -F
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand rehearse" -l root -d 'put before every path; mounts are not checked under it' -r -f -a "(__fish_complete_directories)"
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand rehearse" -l json -d 'print facts as JSON'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand rehearse" -s v -d 'say each migration'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand rehearse" -s q -d 'print only errors'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand rehearse" -s h -l help -d 'Print help'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand ready" -l db -d 'only this database; without it all of them' -r
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand ready" -l config -d 'instead of /etc/bootmigrate.toml' -r -F
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand ready" -l root -d 'put before every path; mounts are not checked under it' -r -f -a "(__fish_complete_directories)"
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand ready" -s v -d 'say each migration'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand ready" -s q -d 'print only errors'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand ready" -s h -l help -d 'Print help'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand migrate" -l step -d 'so many migrations' -r
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand migrate" -l to -d 'up (or down) to version V, V included' -r
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand migrate" -l to-exclusive -d 'up to the version before V' -r
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand migrate" -l db -d 'only this database; without it all of them' -r
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand migrate" -l config -d 'instead of /etc/bootmigrate.toml' -r -F
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand migrate" -l root -d 'put before every path; mounts are not checked under it' -r -f -a "(__fish_complete_directories)"
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand migrate" -l all -d 'everything that is pending; for `wipe` every database'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand migrate" -l json -d 'print facts as JSON'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand migrate" -s v -d 'say each migration'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand migrate" -s q -d 'print only errors'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand migrate" -s h -l help -d 'Print help'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand rollback" -l step -d 'so many migrations' -r
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand rollback" -l to -d 'up (or down) to version V, V included' -r
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand rollback" -l db -d 'only this database; without it all of them' -r
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand rollback" -l config -d 'instead of /etc/bootmigrate.toml' -r -F
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand rollback" -l root -d 'put before every path; mounts are not checked under it' -r -f -a "(__fish_complete_directories)"
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand rollback" -l json -d 'print facts as JSON'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand rollback" -s v -d 'say each migration'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand rollback" -s q -d 'print only errors'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand rollback" -s h -l help -d 'Print help'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand data; and not __fish_seen_subcommand_from status run" -s h -l help -d 'Print help'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand data; and not __fish_seen_subcommand_from status run" -f -a "status" -d 'the data migrations of each database'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand data; and not __fish_seen_subcommand_from status run" -f -a "run" -d 'apply data migrations, beside running applications'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand data; and __fish_seen_subcommand_from status" -l db -d 'only this database; without it all of them' -r
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand data; and __fish_seen_subcommand_from status" -l config -d 'instead of /etc/bootmigrate.toml' -r -F
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand data; and __fish_seen_subcommand_from status" -l root -d 'put before every path; mounts are not checked under it' -r -f -a "(__fish_complete_directories)"
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand data; and __fish_seen_subcommand_from status" -l exit-code -d 'answer with the exit code that a run would have'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand data; and __fish_seen_subcommand_from status" -l json -d 'print facts as JSON'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand data; and __fish_seen_subcommand_from status" -s v -d 'say each migration'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand data; and __fish_seen_subcommand_from status" -s q -d 'print only errors'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand data; and __fish_seen_subcommand_from status" -s h -l help -d 'Print help'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand data; and __fish_seen_subcommand_from run" -l step -d 'so many migrations' -r
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand data; and __fish_seen_subcommand_from run" -l to -d 'up (or down) to version V, V included' -r
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand data; and __fish_seen_subcommand_from run" -l db -d 'only this database; without it all of them' -r
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand data; and __fish_seen_subcommand_from run" -l config -d 'instead of /etc/bootmigrate.toml' -r -F
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand data; and __fish_seen_subcommand_from run" -l root -d 'put before every path; mounts are not checked under it' -r -f -a "(__fish_complete_directories)"
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand data; and __fish_seen_subcommand_from run" -l all -d 'everything that is pending; for `wipe` every database'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand data; and __fish_seen_subcommand_from run" -l json -d 'print facts as JSON'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand data; and __fish_seen_subcommand_from run" -s v -d 'say each migration'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand data; and __fish_seen_subcommand_from run" -s q -d 'print only errors'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand data; and __fish_seen_subcommand_from run" -s h -l help -d 'Print help'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand snapshot; and not __fish_seen_subcommand_from list create verify restore prune" -s h -l help -d 'Print help'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand snapshot; and not __fish_seen_subcommand_from list create verify restore prune" -f -a "list" -d 'the copies of each database'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand snapshot; and not __fish_seen_subcommand_from list create verify restore prune" -f -a "create" -d 'make a copy now, beside running applications'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand snapshot; and not __fish_seen_subcommand_from list create verify restore prune" -f -a "verify" -d 'is each copy good?'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand snapshot; and not __fish_seen_subcommand_from list create verify restore prune" -f -a "restore" -d 'put a copy in the database\'s place'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand snapshot; and not __fish_seen_subcommand_from list create verify restore prune" -f -a "prune" -d 'remove what the configuration does not keep'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand snapshot; and __fish_seen_subcommand_from list" -l db -d 'only this database; without it all of them' -r
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand snapshot; and __fish_seen_subcommand_from list" -l config -d 'instead of /etc/bootmigrate.toml' -r -F
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand snapshot; and __fish_seen_subcommand_from list" -l root -d 'put before every path; mounts are not checked under it' -r -f -a "(__fish_complete_directories)"
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand snapshot; and __fish_seen_subcommand_from list" -l json -d 'print facts as JSON'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand snapshot; and __fish_seen_subcommand_from list" -s v -d 'say each migration'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand snapshot; and __fish_seen_subcommand_from list" -s q -d 'print only errors'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand snapshot; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand snapshot; and __fish_seen_subcommand_from create" -l db -d 'only this database; without it all of them' -r
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand snapshot; and __fish_seen_subcommand_from create" -l config -d 'instead of /etc/bootmigrate.toml' -r -F
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand snapshot; and __fish_seen_subcommand_from create" -l root -d 'put before every path; mounts are not checked under it' -r -f -a "(__fish_complete_directories)"
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand snapshot; and __fish_seen_subcommand_from create" -s v -d 'say each migration'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand snapshot; and __fish_seen_subcommand_from create" -s q -d 'print only errors'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand snapshot; and __fish_seen_subcommand_from create" -s h -l help -d 'Print help'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand snapshot; and __fish_seen_subcommand_from verify" -l db -d 'only this database; without it all of them' -r
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand snapshot; and __fish_seen_subcommand_from verify" -l config -d 'instead of /etc/bootmigrate.toml' -r -F
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand snapshot; and __fish_seen_subcommand_from verify" -l root -d 'put before every path; mounts are not checked under it' -r -f -a "(__fish_complete_directories)"
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand snapshot; and __fish_seen_subcommand_from verify" -l json -d 'print facts as JSON'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand snapshot; and __fish_seen_subcommand_from verify" -s v -d 'say each migration'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand snapshot; and __fish_seen_subcommand_from verify" -s q -d 'print only errors'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand snapshot; and __fish_seen_subcommand_from verify" -s h -l help -d 'Print help'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand snapshot; and __fish_seen_subcommand_from restore" -l db -d 'only this database; without it all of them' -r
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand snapshot; and __fish_seen_subcommand_from restore" -l config -d 'instead of /etc/bootmigrate.toml' -r -F
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand snapshot; and __fish_seen_subcommand_from restore" -l root -d 'put before every path; mounts are not checked under it' -r -f -a "(__fish_complete_directories)"
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand snapshot; and __fish_seen_subcommand_from restore" -l yes -d 'yes, rows may be lost'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand snapshot; and __fish_seen_subcommand_from restore" -l json -d 'print facts as JSON'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand snapshot; and __fish_seen_subcommand_from restore" -s v -d 'say each migration'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand snapshot; and __fish_seen_subcommand_from restore" -s q -d 'print only errors'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand snapshot; and __fish_seen_subcommand_from restore" -s h -l help -d 'Print help'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand snapshot; and __fish_seen_subcommand_from prune" -l db -d 'only this database; without it all of them' -r
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand snapshot; and __fish_seen_subcommand_from prune" -l config -d 'instead of /etc/bootmigrate.toml' -r -F
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand snapshot; and __fish_seen_subcommand_from prune" -l root -d 'put before every path; mounts are not checked under it' -r -f -a "(__fish_complete_directories)"
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand snapshot; and __fish_seen_subcommand_from prune" -s v -d 'say each migration'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand snapshot; and __fish_seen_subcommand_from prune" -s q -d 'print only errors'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand snapshot; and __fish_seen_subcommand_from prune" -s h -l help -d 'Print help'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand quarantine; and not __fish_seen_subcommand_from list show export delete restore" -s h -l help -d 'Print help'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand quarantine; and not __fish_seen_subcommand_from list show export delete restore" -f -a "list" -d 'replaced database files that are kept'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand quarantine; and not __fish_seen_subcommand_from list show export delete restore" -f -a "show" -d 'one of them: its files, its tables, can it be restored?'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand quarantine; and not __fish_seen_subcommand_from list show export delete restore" -f -a "export" -d 'copy its files into a folder of yours'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand quarantine; and not __fish_seen_subcommand_from list show export delete restore" -f -a "delete" -d 'remove its files; frees their room'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand quarantine; and not __fish_seen_subcommand_from list show export delete restore" -f -a "restore" -d 'put it in the database\'s place again'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand quarantine; and __fish_seen_subcommand_from list" -l db -d 'only this database; without it all of them' -r
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand quarantine; and __fish_seen_subcommand_from list" -l config -d 'instead of /etc/bootmigrate.toml' -r -F
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand quarantine; and __fish_seen_subcommand_from list" -l root -d 'put before every path; mounts are not checked under it' -r -f -a "(__fish_complete_directories)"
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand quarantine; and __fish_seen_subcommand_from list" -l json -d 'print facts as JSON'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand quarantine; and __fish_seen_subcommand_from list" -s v -d 'say each migration'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand quarantine; and __fish_seen_subcommand_from list" -s q -d 'print only errors'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand quarantine; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand quarantine; and __fish_seen_subcommand_from show" -l db -d 'only this database; without it all of them' -r
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand quarantine; and __fish_seen_subcommand_from show" -l config -d 'instead of /etc/bootmigrate.toml' -r -F
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand quarantine; and __fish_seen_subcommand_from show" -l root -d 'put before every path; mounts are not checked under it' -r -f -a "(__fish_complete_directories)"
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand quarantine; and __fish_seen_subcommand_from show" -l json -d 'print facts as JSON'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand quarantine; and __fish_seen_subcommand_from show" -s v -d 'say each migration'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand quarantine; and __fish_seen_subcommand_from show" -s q -d 'print only errors'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand quarantine; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand quarantine; and __fish_seen_subcommand_from export" -l db -d 'only this database; without it all of them' -r
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand quarantine; and __fish_seen_subcommand_from export" -l config -d 'instead of /etc/bootmigrate.toml' -r -F
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand quarantine; and __fish_seen_subcommand_from export" -l root -d 'put before every path; mounts are not checked under it' -r -f -a "(__fish_complete_directories)"
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand quarantine; and __fish_seen_subcommand_from export" -s v -d 'say each migration'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand quarantine; and __fish_seen_subcommand_from export" -s q -d 'print only errors'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand quarantine; and __fish_seen_subcommand_from export" -s h -l help -d 'Print help'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand quarantine; and __fish_seen_subcommand_from delete" -l db -d 'only this database; without it all of them' -r
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand quarantine; and __fish_seen_subcommand_from delete" -l config -d 'instead of /etc/bootmigrate.toml' -r -F
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand quarantine; and __fish_seen_subcommand_from delete" -l root -d 'put before every path; mounts are not checked under it' -r -f -a "(__fish_complete_directories)"
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand quarantine; and __fish_seen_subcommand_from delete" -l yes -d 'yes, rows may be lost'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand quarantine; and __fish_seen_subcommand_from delete" -s v -d 'say each migration'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand quarantine; and __fish_seen_subcommand_from delete" -s q -d 'print only errors'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand quarantine; and __fish_seen_subcommand_from delete" -s h -l help -d 'Print help'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand quarantine; and __fish_seen_subcommand_from restore" -l db -d 'only this database; without it all of them' -r
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand quarantine; and __fish_seen_subcommand_from restore" -l config -d 'instead of /etc/bootmigrate.toml' -r -F
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand quarantine; and __fish_seen_subcommand_from restore" -l root -d 'put before every path; mounts are not checked under it' -r -f -a "(__fish_complete_directories)"
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand quarantine; and __fish_seen_subcommand_from restore" -l yes -d 'yes, rows may be lost'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand quarantine; and __fish_seen_subcommand_from restore" -l json -d 'print facts as JSON'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand quarantine; and __fish_seen_subcommand_from restore" -s v -d 'say each migration'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand quarantine; and __fish_seen_subcommand_from restore" -s q -d 'print only errors'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand quarantine; and __fish_seen_subcommand_from restore" -s h -l help -d 'Print help'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand lost; and not __fish_seen_subcommand_from list export drop retry" -s h -l help -d 'Print help'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand lost; and not __fish_seen_subcommand_from list export drop retry" -f -a "list" -d 'rows that have no place in the schema'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand lost; and not __fish_seen_subcommand_from list export drop retry" -f -a "export" -d 'write such rows to a file of yours'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand lost; and not __fish_seen_subcommand_from list export drop retry" -f -a "drop" -d 'remove such rows'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand lost; and not __fish_seen_subcommand_from list export drop retry" -f -a "retry" -d 'give such rows back to their tables, where they fit'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand lost; and __fish_seen_subcommand_from list" -l db -d 'only this database; without it all of them' -r
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand lost; and __fish_seen_subcommand_from list" -l config -d 'instead of /etc/bootmigrate.toml' -r -F
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand lost; and __fish_seen_subcommand_from list" -l root -d 'put before every path; mounts are not checked under it' -r -f -a "(__fish_complete_directories)"
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand lost; and __fish_seen_subcommand_from list" -l json -d 'print facts as JSON'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand lost; and __fish_seen_subcommand_from list" -s v -d 'say each migration'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand lost; and __fish_seen_subcommand_from list" -s q -d 'print only errors'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand lost; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand lost; and __fish_seen_subcommand_from export" -l db -d 'only this database; without it all of them' -r
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand lost; and __fish_seen_subcommand_from export" -l config -d 'instead of /etc/bootmigrate.toml' -r -F
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand lost; and __fish_seen_subcommand_from export" -l root -d 'put before every path; mounts are not checked under it' -r -f -a "(__fish_complete_directories)"
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand lost; and __fish_seen_subcommand_from export" -s v -d 'say each migration'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand lost; and __fish_seen_subcommand_from export" -s q -d 'print only errors'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand lost; and __fish_seen_subcommand_from export" -s h -l help -d 'Print help'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand lost; and __fish_seen_subcommand_from drop" -l db -d 'only this database; without it all of them' -r
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand lost; and __fish_seen_subcommand_from drop" -l config -d 'instead of /etc/bootmigrate.toml' -r -F
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand lost; and __fish_seen_subcommand_from drop" -l root -d 'put before every path; mounts are not checked under it' -r -f -a "(__fish_complete_directories)"
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand lost; and __fish_seen_subcommand_from drop" -l yes -d 'yes, rows may be lost'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand lost; and __fish_seen_subcommand_from drop" -s v -d 'say each migration'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand lost; and __fish_seen_subcommand_from drop" -s q -d 'print only errors'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand lost; and __fish_seen_subcommand_from drop" -s h -l help -d 'Print help'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand lost; and __fish_seen_subcommand_from retry" -l db -d 'only this database; without it all of them' -r
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand lost; and __fish_seen_subcommand_from retry" -l config -d 'instead of /etc/bootmigrate.toml' -r -F
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand lost; and __fish_seen_subcommand_from retry" -l root -d 'put before every path; mounts are not checked under it' -r -f -a "(__fish_complete_directories)"
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand lost; and __fish_seen_subcommand_from retry" -l yes -d 'yes, rows may be lost'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand lost; and __fish_seen_subcommand_from retry" -s v -d 'say each migration'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand lost; and __fish_seen_subcommand_from retry" -s q -d 'print only errors'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand lost; and __fish_seen_subcommand_from retry" -s h -l help -d 'Print help'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand doctor" -l db -d 'only this database; without it all of them' -r
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand doctor" -l config -d 'instead of /etc/bootmigrate.toml' -r -F
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand doctor" -l root -d 'put before every path; mounts are not checked under it' -r -f -a "(__fish_complete_directories)"
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand doctor" -l json -d 'print facts as JSON'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand doctor" -l full -d 'check every page, whatever the size'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand doctor" -s v -d 'say each migration'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand doctor" -s q -d 'print only errors'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand doctor" -s h -l help -d 'Print help'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand scrub" -l db -d 'only this database; without it all of them' -r
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand scrub" -l config -d 'instead of /etc/bootmigrate.toml' -r -F
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand scrub" -l root -d 'put before every path; mounts are not checked under it' -r -f -a "(__fish_complete_directories)"
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand scrub" -s v -d 'say each migration'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand scrub" -s q -d 'print only errors'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand scrub" -s h -l help -d 'Print help'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand salvage" -l into -d 'the new file' -r -F
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand salvage" -l db -d 'only this database; without it all of them' -r
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand salvage" -l config -d 'instead of /etc/bootmigrate.toml' -r -F
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand salvage" -l root -d 'put before every path; mounts are not checked under it' -r -f -a "(__fish_complete_directories)"
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand salvage" -l json -d 'print facts as JSON'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand salvage" -s v -d 'say each migration'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand salvage" -s q -d 'print only errors'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand salvage" -s h -l help -d 'Print help'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand bundle" -l db -d 'only this database; without it all of them' -r
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand bundle" -l config -d 'instead of /etc/bootmigrate.toml' -r -F
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand bundle" -l root -d 'put before every path; mounts are not checked under it' -r -f -a "(__fish_complete_directories)"
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand bundle" -s v -d 'say each migration'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand bundle" -s q -d 'print only errors'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand bundle" -s h -l help -d 'Print help'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand mark-good" -l db -d 'only this database; without it all of them' -r
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand mark-good" -l config -d 'instead of /etc/bootmigrate.toml' -r -F
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand mark-good" -l root -d 'put before every path; mounts are not checked under it' -r -f -a "(__fish_complete_directories)"
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand mark-good" -l json -d 'print facts as JSON'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand mark-good" -s v -d 'say each migration'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand mark-good" -s q -d 'print only errors'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand mark-good" -s h -l help -d 'Print help'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand baseline" -l from -d 'the tool that made the database' -r
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand baseline" -l at -d 'the version that it is at' -r
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand baseline" -l db -d 'only this database; without it all of them' -r
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand baseline" -l config -d 'instead of /etc/bootmigrate.toml' -r -F
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand baseline" -l root -d 'put before every path; mounts are not checked under it' -r -f -a "(__fish_complete_directories)"
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand baseline" -l json -d 'print facts as JSON'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand baseline" -s v -d 'say each migration'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand baseline" -s q -d 'print only errors'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand baseline" -s h -l help -d 'Print help'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand purge" -l db -d 'only this database; without it all of them' -r
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand purge" -l config -d 'instead of /etc/bootmigrate.toml' -r -F
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand purge" -l root -d 'put before every path; mounts are not checked under it' -r -f -a "(__fish_complete_directories)"
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand purge" -l json -d 'print facts as JSON'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand purge" -l yes -d 'yes, rows may be lost'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand purge" -s v -d 'say each migration'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand purge" -s q -d 'print only errors'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand purge" -s h -l help -d 'Print help'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand wipe" -l db -d 'only this database; without it all of them' -r
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand wipe" -l config -d 'instead of /etc/bootmigrate.toml' -r -F
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand wipe" -l root -d 'put before every path; mounts are not checked under it' -r -f -a "(__fish_complete_directories)"
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand wipe" -l all -d 'everything that is pending; for `wipe` every database'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand wipe" -l yes -d 'yes, rows may be lost'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand wipe" -s v -d 'say each migration'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand wipe" -s q -d 'print only errors'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand wipe" -s h -l help -d 'Print help'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand help; and not __fish_seen_subcommand_from run status plan rehearse ready migrate rollback data snapshot quarantine lost doctor scrub salvage bundle mark-good baseline purge wipe help" -f -a "run" -d 'what the unit does at boot'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand help; and not __fish_seen_subcommand_from run status plan rehearse ready migrate rollback data snapshot quarantine lost doctor scrub salvage bundle mark-good baseline purge wipe help" -f -a "status" -d 'versions and state'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand help; and not __fish_seen_subcommand_from run status plan rehearse ready migrate rollback data snapshot quarantine lost doctor scrub salvage bundle mark-good baseline purge wipe help" -f -a "plan" -d 'what the next boot would do, and why'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand help; and not __fish_seen_subcommand_from run status plan rehearse ready migrate rollback data snapshot quarantine lost doctor scrub salvage bundle mark-good baseline purge wipe help" -f -a "rehearse" -d 'the real migration on a copy, thrown away'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand help; and not __fish_seen_subcommand_from run status plan rehearse ready migrate rollback data snapshot quarantine lost doctor scrub salvage bundle mark-good baseline purge wipe help" -f -a "ready" -d 'may an application open it?'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand help; and not __fish_seen_subcommand_from run status plan rehearse ready migrate rollback data snapshot quarantine lost doctor scrub salvage bundle mark-good baseline purge wipe help" -f -a "migrate" -d 'apply pending migrations, all or some'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand help; and not __fish_seen_subcommand_from run status plan rehearse ready migrate rollback data snapshot quarantine lost doctor scrub salvage bundle mark-good baseline purge wipe help" -f -a "rollback" -d 'go back by the down SQL that was stored when it was applied'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand help; and not __fish_seen_subcommand_from run status plan rehearse ready migrate rollback data snapshot quarantine lost doctor scrub salvage bundle mark-good baseline purge wipe help" -f -a "data" -d 'migrations of rows, beside running applications'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand help; and not __fish_seen_subcommand_from run status plan rehearse ready migrate rollback data snapshot quarantine lost doctor scrub salvage bundle mark-good baseline purge wipe help" -f -a "snapshot" -d 'copies of each database'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand help; and not __fish_seen_subcommand_from run status plan rehearse ready migrate rollback data snapshot quarantine lost doctor scrub salvage bundle mark-good baseline purge wipe help" -f -a "quarantine" -d 'database files that were replaced'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand help; and not __fish_seen_subcommand_from run status plan rehearse ready migrate rollback data snapshot quarantine lost doctor scrub salvage bundle mark-good baseline purge wipe help" -f -a "lost" -d 'rows that have no place in the schema'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand help; and not __fish_seen_subcommand_from run status plan rehearse ready migrate rollback data snapshot quarantine lost doctor scrub salvage bundle mark-good baseline purge wipe help" -f -a "doctor" -d 'look at everything, and name the repair'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand help; and not __fish_seen_subcommand_from run status plan rehearse ready migrate rollback data snapshot quarantine lost doctor scrub salvage bundle mark-good baseline purge wipe help" -f -a "scrub" -d 'read every page, slowly, beside the applications'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand help; and not __fish_seen_subcommand_from run status plan rehearse ready migrate rollback data snapshot quarantine lost doctor scrub salvage bundle mark-good baseline purge wipe help" -f -a "salvage" -d 'for a bench: every row that can be read, into a new file'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand help; and not __fish_seen_subcommand_from run status plan rehearse ready migrate rollback data snapshot quarantine lost doctor scrub salvage bundle mark-good baseline purge wipe help" -f -a "bundle" -d 'all that support needs, in one file; no rows'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand help; and not __fish_seen_subcommand_from run status plan rehearse ready migrate rollback data snapshot quarantine lost doctor scrub salvage bundle mark-good baseline purge wipe help" -f -a "mark-good" -d 'this slot is good: what was kept for the way back may go'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand help; and not __fish_seen_subcommand_from run status plan rehearse ready migrate rollback data snapshot quarantine lost doctor scrub salvage bundle mark-good baseline purge wipe help" -f -a "baseline" -d 'take over a database that another tool made, then run'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand help; and not __fish_seen_subcommand_from run status plan rehearse ready migrate rollback data snapshot quarantine lost doctor scrub salvage bundle mark-good baseline purge wipe help" -f -a "purge" -d 'set this database aside and rebuild it'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand help; and not __fish_seen_subcommand_from run status plan rehearse ready migrate rollback data snapshot quarantine lost doctor scrub salvage bundle mark-good baseline purge wipe help" -f -a "wipe" -d 'factory reset: remove all of it for good'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand help; and not __fish_seen_subcommand_from run status plan rehearse ready migrate rollback data snapshot quarantine lost doctor scrub salvage bundle mark-good baseline purge wipe help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand help; and __fish_seen_subcommand_from data" -f -a "status" -d 'the data migrations of each database'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand help; and __fish_seen_subcommand_from data" -f -a "run" -d 'apply data migrations, beside running applications'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand help; and __fish_seen_subcommand_from snapshot" -f -a "list" -d 'the copies of each database'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand help; and __fish_seen_subcommand_from snapshot" -f -a "create" -d 'make a copy now, beside running applications'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand help; and __fish_seen_subcommand_from snapshot" -f -a "verify" -d 'is each copy good?'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand help; and __fish_seen_subcommand_from snapshot" -f -a "restore" -d 'put a copy in the database\'s place'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand help; and __fish_seen_subcommand_from snapshot" -f -a "prune" -d 'remove what the configuration does not keep'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand help; and __fish_seen_subcommand_from quarantine" -f -a "list" -d 'replaced database files that are kept'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand help; and __fish_seen_subcommand_from quarantine" -f -a "show" -d 'one of them: its files, its tables, can it be restored?'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand help; and __fish_seen_subcommand_from quarantine" -f -a "export" -d 'copy its files into a folder of yours'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand help; and __fish_seen_subcommand_from quarantine" -f -a "delete" -d 'remove its files; frees their room'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand help; and __fish_seen_subcommand_from quarantine" -f -a "restore" -d 'put it in the database\'s place again'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand help; and __fish_seen_subcommand_from lost" -f -a "list" -d 'rows that have no place in the schema'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand help; and __fish_seen_subcommand_from lost" -f -a "export" -d 'write such rows to a file of yours'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand help; and __fish_seen_subcommand_from lost" -f -a "drop" -d 'remove such rows'
complete -c bootmigrate -n "__fish_bootmigrate_using_subcommand help; and __fish_seen_subcommand_from lost" -f -a "retry" -d 'give such rows back to their tables, where they fit'
