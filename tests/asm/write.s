; write: takes what passes in its cycle, and the value moves on: three slices store the same one.
.machine superlanes = 1
.data mem.e0 0 iota 9 9
.queue mem.e0
read 0, e0
sync
.queue mem.e1
nop 1
write 8191, e0
sync
.queue mem.e4
nop 2
write 0, e0
sync
.queue mem.e43
nop 11
write 4096, e0
sync
.expect mem.e1 8191 iota 9 9
.expect mem.e4 0 iota 9 9
.expect mem.e43 4096 iota 9 9
.expect cycles 13
