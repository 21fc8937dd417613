# Builtins only: a program with children cannot be checkpointed.
declare -A seen
declare -a sieve
for ((n = 2; n < 90000; n++)); do
    if [[ -z ${sieve[n]} ]]; then
        for ((multiple = n * n; multiple < 90000; multiple += n)); do sieve[multiple]=1; done
        text=$n
        sum=0
        while [[ $text =~ ^([0-9])(.*)$ ]]; do
            ((sum += BASH_REMATCH[1]))
            text=${BASH_REMATCH[2]}
        done
        seen[$sum]+=" $n"
        printf '%d has digits that sum to %d:%s\n' "$n" "$sum" "${seen[$sum]: -40}"
    fi
done
for sum in {1..40}; do echo "$sum:${seen[$sum]}"; done
