; empty-slot: a value is never upstream of where it was produced.
.machine superlanes = 1
.queue mem.e4
read 0, e0
sync
.queue mem.e0
write 0, e0
repeat 9, 1, 0
sync
.expect fault empty-slot cycle 0 queue mem.e0
