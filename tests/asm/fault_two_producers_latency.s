; two-producers: a gather of cycle 2 (two cycles) meets a read of cycle 3 (one cycle).
.machine superlanes = 1
.queue mem.e0
read 0, e0
sync
.queue mem.e4
nop 2
gather 0, e1, e0
read 0, e1
sync
.expect fault two-producers cycle 4 queue mem.e4
