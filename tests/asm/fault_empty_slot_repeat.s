; empty-slot: the third repetition finds nothing, as the reads were one too few.
.machine superlanes = 1
.queue mem.e0
read 0, e0
repeat 2, 1, 1
sync
.queue mem.e4
nop 2
write 0, e0
repeat 3, 1, 1
sync
.expect fault empty-slot cycle 5 queue mem.e4
