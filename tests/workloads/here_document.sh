# Reads a here-document that is too large for a pipe, so that it is in a file without a name. Builtins only: a program with
# children cannot be checkpointed.
printf -v document '%s is a line of it\n' {1..60000}
hash=7
count=0
while read -r number rest; do
    ((hash = (hash * 31 + number * ${#rest}) % 1000003, count++))
    if ((count % 500 == 0)); then echo "$count $number $hash"; fi
done <<END
$document
END
echo "$count lines, $hash"
