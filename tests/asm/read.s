; read: one cycle to its stream at the slice, then one position a cycle, in both directions.
.machine superlanes = 1
.data mem.e0 0 iota 0 7
.data mem.w0 5 fill 201
.queue mem.e0
read 0, e31
sync
.queue mem.w0
read 5, w31
sync
.queue mem.e8
nop 3
write 1, e31
sync
.queue mem.w4
nop 2
write 1, w31
sync
.expect mem.e8 1 iota 0 7
.expect mem.w4 1 fill 201
.expect cycles 5
