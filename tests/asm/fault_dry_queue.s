; dry-queue: no sync after the last instruction, which issues in 3.
.machine superlanes = 1
.queue mem.e0
nop 3
read 0, e0
.expect fault dry-queue cycle 4 queue mem.e0
