# Hashes, sorting, regular expressions and formats.
use strict;
use warnings;

my ($state, %count, @words) = (1);
for my $step (1 .. 60) {
    for (1 .. 1000) {
        $state = ($state * 1103515245 + 12345) % 2147483648;
        my $word = join '', map { chr(97 + ($state >> $_) % 26) } 3, 7, 11, 15;
        $count{$word}++;
        push @words, $word if $word =~ /^([a-m])[n-z]+\1?/;
    }
    my ($most) = sort { $count{$b} <=> $count{$a} || $a cmp $b } grep { /^a/ } keys %count;
    @words = (reverse sort @words)[0 .. 200];
    printf "%d %s %d %s\n", $step, $most, $count{$most}, join ',', @words[0 .. 5];
    $| = $step % 2;
}
