# Starts the driver of Go contexts; compiles it first where that has not been done. $1: the go command, $2: what tells
# this driver from others. Lines with % stand for the files that are put in before this runs.
set -eu
go=$1
mask=$(umask)
umask 077
cache=$("$go" env GOCACHE 2>/dev/null) || cache=
case $cache in
/*) mkdir -p "$cache" 2>/dev/null && [ -w "$cache" ] || cache= ;;
*) cache= ;;
esac
if [ -z "$cache" ]; then
	cache=${TMPDIR:-/tmp}/sandkeep-go-$(id -u)
	mkdir -p "$cache"
	# Anybody may make such a directory before us.
	if ! [ -O "$cache" ] || [ -L "$cache" ]; then
		echo "$cache belongs to somebody else" >&2
		exit 1
	fi
fi
home=$cache/sandkeep-$2-$("$go" env GOVERSION)
if ! [ -x "$home/driver" ]; then
	new=$home/new-$$
	mkdir -p "$new"
	trap 'rm -rf "$new"' EXIT
	printf 'module driver\n\ngo 1.18\n' >"$new/go.mod"
	cat >"$new/driver.go" <<'SANDKEEP_END'
%driver
SANDKEEP_END
	cat >"$new/cell.go" <<'SANDKEEP_END'
%cell
SANDKEEP_END
	cat >"$new/program.go" <<'SANDKEEP_END'
%program
SANDKEEP_END
	cat >"$new/toolchain.go" <<'SANDKEEP_END'
%toolchain
SANDKEEP_END
	cat >"$new/state.txt" <<'SANDKEEP_END'
%state
SANDKEEP_END
	(
		cd "$new"
		export GOCACHE="$cache" GO111MODULE=on GOFLAGS= GOPROXY=off GOTOOLCHAIN=local GOWORK=off CGO_ENABLED=0
		"$go" build -ldflags='-s -w' -o driver . </dev/null
	)
	mv "$new/state.txt" "$home/state.go"
	mv "$new/driver" "$home/driver"
	rm -rf "$new"
	trap - EXIT
fi
umask "$mask"
exec "$home/driver" "$go" "$cache" "$home"
