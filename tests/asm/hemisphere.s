; The 44 slices of a hemisphere lie at eleven positions, so a value crosses it in eleven hops: read in 0,
; at mem.e0 in 1, at mem.e43 (the eleventh position) in 11, at the unit next to it, here the SXM, in 12.
.machine superlanes = 1
.machine io_positions = 0
.data mem.e0 0 iota 0 1
.data mem.e42 1 bytes 15 14 13 12 11 10 9 8 7 6 5 4 3 2 1 0
.queue mem.e0
read 0, e0
sync
.queue mem.e43
nop 11
write 0, e0
sync
.queue mem.e42
nop 10
read 1, e1
sync
.queue sxm.e.distribute0
nop 12
distribute e0, w0, e1
sync
.queue mem.e41
nop 15
write 2, w0
sync
.expect mem.e43 0 iota 0 1
.expect mem.e41 2 bytes 15 14 13 12 11 10 9 8 7 6 5 4 3 2 1 0
.expect cycles 17
