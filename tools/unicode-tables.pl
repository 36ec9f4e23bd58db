#!/usr/bin/perl
# Writes src/model/unicode_tables.inc from the Unicode character database as Debian's package
# unicode-data ships it: tools/unicode-tables.pl [FOLDER] > src/model/unicode_tables.inc
use strict;
use warnings;

my $folder = $ARGV[0] // "/usr/share/unicode";

sub lines {
    my ($name) = @_;
    open(my $file, "<", "$folder/$name") or die "$folder/$name: $!; apt-get install unicode-data\n";
    return grep { s/#.*//; s/\s+$//; length } <$file>;
}

# Numbers in rows of at most 98 columns.
sub rows {
    my ($type, $name, @items) = @_;
    print "static const $type $name\[\] = {";
    my $width = 1000;
    for my $item (@items) {
        if ($width + length($item) + 2 > 96) { print "\n   "; $width = 4; }
        print " $item,";
        $width += length($item) + 2;
    }
    print "\n};\n\n";
}

my @names = qw(Cn Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Cs Co);
my %number = map { $names[$_] => $_ } 0 .. $#names;
my (@category, @class, %lower, %upper, %decomposition, $first);
for (lines("UnicodeData.txt")) {
    my @field = split /;/, $_, -1;
    my $code = hex $field[0];
    if ($field[1] =~ /, First>$/) { $first = $code; next; }
    my $from = $field[1] =~ /, Last>$/ ? $first : $code;
    for my $c ($from .. $code) { $category[$c] = $number{$field[2]}; }
    $class[$code] = $field[3] if $field[3] ne "0";
    $upper{$code} = [hex $field[12]] if length $field[12];
    $lower{$code} = [hex $field[13]] if length $field[13];
    $decomposition{$code} = $field[5] if length $field[5];
}
for (lines("SpecialCasing.txt")) {
    my @field = split /\s*;\s*/, $_, -1;
    next if length($field[4] // "");    # conditional: final sigma, Turkish, Lithuanian
    $lower{hex $field[0]} = [map { hex } split / /, $field[1]];
    $upper{hex $field[0]} = [map { hex } split / /, $field[3]];
}
my %excluded;
for (lines("DerivedNormalizationProps.txt")) {
    my ($range, $property) = /^(\S+)\s*;\s*Full_Composition_Exclusion/ ? ($1, 1) : next;
    my ($from, $to) = $range =~ /(\w+)(?:\.\.(\w+))?/;
    $excluded{$_} = 1 for hex($from) .. hex($to // $from);
}
my ($version) = do { local @ARGV = ("$folder/PropList.txt"); scalar(<>) =~ /PropList-([\d.]+)\.txt/ };

print "/* Written by tools/unicode-tables.pl from the Unicode character database $version. */\n\n";

my @runs;
for my $code (0 .. 0x10FFFF) {
    my $kind = $category[$code] // 0;
    push @runs, sprintf("0x%X", $code << 5 | $kind) if $code == 0 || $kind != ($category[$code - 1] // 0);
}
print "/* First code point of a run << 5 | its general category, as enum unicode_category. */\n";
rows("uint32_t", "category_runs", @runs);

print "/* Code point << 8 | canonical combining class, where that is not 0. */\n";
rows("uint32_t", "combining_classes", map { sprintf "0x%X", $_ << 8 | $class[$_] } grep { $class[$_] } 0 .. $#class);

sub mapping {
    my ($name, $map) = @_;
    my @all;
    for my $code (sort { $a <=> $b } keys %$map) {
        my @to = (@{$map->{$code}}, 0, 0);
        next if $to[0] == $code && !$to[1];
        push @all, sprintf("{0x%X, {0x%X, 0x%X, 0x%X}}", $code, @to[0 .. 2]);
    }
    rows("struct unicode_case", $name, @all);
}
print "/* Full mappings without conditions. */\n";
mapping("lower_cases", \%lower);
mapping("upper_cases", \%upper);

my (@sequences, @decompositions, @compositions);
for my $code (sort { $a <=> $b } keys %decomposition) {
    my $text = $decomposition{$code};
    my $compatible = $text =~ s/^<\w+>\s*// ? 1 : 0;
    my @to = map { hex } split / /, $text;
    push @decompositions, sprintf("{0x%X, %d, %d, %d}", $code, scalar(@sequences), scalar(@to), $compatible);
    push @sequences, map { sprintf "0x%X", $_ } @to;
    push @compositions, [$to[0], $to[1], $code] if !$compatible && @to == 2 && !$excluded{$code};
}
print "/* Decompositions, one step each: code point, place and length in the sequences, compatibility. */\n";
rows("uint32_t", "decomposition_sequences", @sequences);
rows("struct unicode_decomposition", "decompositions", @decompositions);
print "/* Primary composites by their two parts. */\n";
rows("struct unicode_composition", "compositions",
    map { sprintf "{0x%X, 0x%X, 0x%X}", @$_ } sort { $a->[0] <=> $b->[0] || $a->[1] <=> $b->[1] } @compositions);

my @scripts = qw(Arabic Armenian Bengali Cyrillic Devanagari Georgian Greek Han Hangul Hebrew Hiragana Katakana Khmer Lao Latin Myanmar Thai Tibetan);
my %wanted = map { $_ => 1 } @scripts;
my %ranges;
for (lines("Scripts.txt")) {
    my ($from, $to, $script) = /^(\w+)(?:\.\.(\w+))?\s*;\s*(\w+)/ or next;
    push @{$ranges{$script}}, [hex $from, hex($to // $from)] if $wanted{$script};
}
for my $script (@scripts) {
    my @merged;
    for my $range (sort { $a->[0] <=> $b->[0] } @{$ranges{$script}}) {
        if (@merged && $merged[-1][1] + 1 == $range->[0]) { $merged[-1][1] = $range->[1]; }
        else { push @merged, [@$range]; }
    }
    rows("struct unicode_range", "script_" . lc $script, map { sprintf "{0x%X, 0x%X}", @$_ } @merged);
}
print "static const struct unicode_script scripts[] = {\n";
printf "    {\"%s\", script_%s, BASE_COUNT(script_%s)},\n", $_, lc $_, lc $_ for @scripts;
print "};\n";
