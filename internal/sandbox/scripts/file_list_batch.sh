# One batch of file_list.sh. Arguments: the stat command, and the names.
stat=$1
shift
echo $#
if lines=$($stat -- "$@" 2>/dev/null); then echo "$lines"; else
  for i do
    if [ -L "$i" ]; then echo l
    elif [ -d "$i" ]; then echo d
    elif [ -f "$i" ]; then echo f
    else echo o; fi
  done
fi
echo "#"
printf '%s\0' "$@"
