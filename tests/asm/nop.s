; nop n occupies n cycles: the reads issue in cycles 5 and 6 + 65535, one hop below the slice's position.
.machine superlanes = 1
.data mem.e0 0 iota 1 1
.data mem.e0 1 iota 5 5
.queue mem.e0
nop 5
read 0, e0
nop 65534
nop 1
read 1, e0
sync
.queue mem.e4
nop 7
write 0, e0
nop 65535
write 1, e0
sync
.expect mem.e4 0 iota 1 1
.expect mem.e4 1 iota 5 5
.expect cycles 65545
