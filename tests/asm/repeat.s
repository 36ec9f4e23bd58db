; repeat: 3 more reads 4 cycles apart, one word down each; the instruction after it one cycle after the last.
.machine superlanes = 1
.data mem.e0 10 fill 10
.data mem.e0 9 fill 9
.data mem.e0 8 fill 8
.data mem.e0 7 fill 7
.data mem.e0 99 fill 99
.queue mem.e0
read 10, e3
repeat 3, 4, -1
read 99, e3
sync
.queue mem.e4
nop 2
write 0, e3
repeat 3, 4, 1
write 4, e3
sync
.expect mem.e4 0 fill 10
.expect mem.e4 1 fill 9
.expect mem.e4 2 fill 8
.expect mem.e4 3 fill 7
.expect mem.e4 4 fill 99
.expect cycles 17
