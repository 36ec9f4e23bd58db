; empty-slot: the value reaches mem.e4 in 2, one cycle after the write.
.machine superlanes = 1
.queue mem.e0
read 0, e0
sync
.queue mem.e4
nop 1
write 0, e0
sync
.expect fault empty-slot cycle 1 queue mem.e4
