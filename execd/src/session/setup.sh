# Read by the shell of a session when it starts; "$1" is its private directory. Works in bash and in POSIX shells.
__sandkeep_state=$1/state

# A shell that ends because of `exit`, `set -e` or a fatal error leaves what it knows behind for its successor. It
# starts no process for that: those of an interrupted run are being killed.
if [ -n "${BASH_VERSION-}" ]; then
    __sandkeep_save() {
        {
            printf 'cd -- %q\n' "$PWD"
            umask -p
            shopt -p
            declare -p
            declare -f
            alias -p
            trap -p
            set +o
        } >|"$__sandkeep_state"
    } 2>/dev/null
    # Without this a trap of the user's own on EXIT would be all that happens. Other shells, and bash in POSIX mode,
    # refuse a function of this name.
    [ -o posix ] || eval 'exit() {
        set -- "${1-$?}"
        [ "$BASHPID" != "$$" ] || __sandkeep_save
        builtin exit "$@"
    }'
else
    __sandkeep_save() {
        {
            # Functions cannot be written out here.
            set
            export -p
            printf 'cd -- "$PWD"\numask '
            umask
            set +o
        } >|"$__sandkeep_state"
    } 2>/dev/null
fi

# Reports number and status of the last run and the directory, and waits for the next run, whose number and text come
# quoted on one line.
__sandkeep_next() {
    printf '%d %d %s\n' "$__sandkeep_run" "$1" "$PWD" >&3
    IFS= read -r __sandkeep_text <&3 && eval "$__sandkeep_text" && return 0
    trap - EXIT
    command exit 0
}
__sandkeep_nl='
'

if [ -s "$__sandkeep_state" ]; then
    . "$__sandkeep_state" >/dev/null 2>&1
    : >|"$__sandkeep_state"
fi
__sandkeep_run=0
trap __sandkeep_save EXIT
# An interrupted run ends as if it had called exit.
trap 'exit 137' 64
shift
