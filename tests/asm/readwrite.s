; readwrite: a read of one bank and a write to the other in one cycle; a repetition steps both addresses.
.machine superlanes = 1
.data mem.e0 0 fill 10
.data mem.e0 1 fill 11
.data mem.e4 4096 fill 20
.data mem.e4 4097 fill 21
.queue mem.e0
read 0, e0
repeat 1, 1, 1
sync
.queue mem.e4
nop 2
readwrite 4096, e1, 0, e0
repeat 1, 1, 1
sync
.queue mem.e8
nop 4
write 0, e1
repeat 1, 1, 1
sync
.expect mem.e4 0 fill 10
.expect mem.e4 1 fill 11
.expect mem.e8 0 fill 20
.expect mem.e8 1 fill 21
.expect cycles 7
