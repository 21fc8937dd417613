# Associative arrays and string functions.
BEGIN {
    state = 1
    for (step = 1; step <= 400; step++) {
        for (i = 0; i < 3000; i++) {
            state = (state * 1103515245 + 12345) % 2147483648
            key = sprintf("%05d", state % 20000)
            count[key]++
            if (match(key, /[0-4]+$/)) tail[substr(key, RSTART)] = step
        }
        print step, length(count), length(tail), toupper(sprintf("%x", state))
    }
    n = asorti(count, sorted)
    for (i = 1; i <= n; i++) print sorted[i], count[sorted[i]]
}
