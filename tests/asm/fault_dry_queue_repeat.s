; dry-queue: the last repetition issues in 20.
.machine superlanes = 1
.queue mem.e0
read 0, e0
repeat 2, 10, 0
.expect fault dry-queue cycle 21 queue mem.e0
