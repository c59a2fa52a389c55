# Files of the workspace. Scripts act only within it, links resolved; what lies outside is left
# to the file endpoints, where the service decides.
# shellcheck disable=SC2034 # variables for the scripts that include this
. ./report.sh

# An embedded service that can't give its commands a /workspace tells them where that is.
workspace=${OPENCLAW_EMULATOR_WORKSPACE:-/workspace}

# enter_root makes the workspace the current folder, and $root its path without links.
enter_root() {
  cd -P -- "$workspace" || say noworkspace
  root=$PWD
}

# enter makes a folder the current one, given from the workspace on or absolute.
enter() {
  case $1 in /*) to=$1 ;; *) to=$root/$1 ;; esac
  cd -P -- "$to" || { [ ! -d "$to" ] || say denied; say missing; }
}

within() { case $PWD/ in "$root"/*) ;; *) return 1 ;; esac; }

# kind sets $kind to what is under a name, links followed.
kind() {
  if [ -d "$1" ]; then kind=directory
  elif [ -f "$1" ]; then kind='file'
  elif [ -p "$1" ]; then kind=fifo
  elif [ -S "$1" ]; then kind=socket
  elif [ -c "$1" ] || [ -b "$1" ]; then kind=device
  elif [ -L "$1" ]; then kind=dangling
  elif [ -e "$1" ]; then kind=special
  else kind=none; fi
}

# follow resolves the link $name of the current folder, if it is one: the current folder and
# $name are then those of what it leads to.
follow() {
  i=0
  while [ -L "./$name" ]; do
    i=$((i + 1))
    [ $i -le 40 ] || say loop
    need readlink
    target=$(readlink "./$name" && echo .) || say denied # the dot keeps line breaks at the end
    target=${target%??}
    case $target in /workspace) target=$root ;; /workspace/*) target=$root${target#/workspace} ;; esac
    case $target in */) target=$target. ;; esac
    case $target in
      */*) cd -P -- "${target%/*}/" || say missing; name=${target##*/} ;;
      *) name=$target ;;
    esac
  done
}

# nearest sets $above to the part of a path, from the workspace on, that is a folder already.
nearest() {
  above=$1
  while [ ! -d "$root/$above" ]; do
    case $above in */*) above=${above%/*} ;; *) above=. ;; esac
  done
}

# unmake removes folders of the same path that were made in vain: those that are empty.
unmake() {
  below=$1
  while [ "$below" != "$above" ]; do
    [ ! -d "$root/$below" ] || rmdir "$root/$below" || return 0
    case $below in */*) below=${below%/*} ;; *) return 0 ;; esac
  done
}

# size prints a file's size. stat needs not read the file, but has two dialects.
size() { echo $(($(stat -L -c %s "$1" || stat -L -f %z "$1" || wc -c <"$1"))); }
