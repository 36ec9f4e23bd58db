; Values of both directions pass through each other on streams of one number.
.machine superlanes = 1
.data mem.e0 0 fill 1
.data mem.e20 0 fill 2
.queue mem.e0
read 0, e5
sync
.queue mem.e20
read 0, w5
sync
.queue mem.e21
nop 6
write 1, e5
sync
.queue mem.e1
nop 6
write 1, w5
sync
.expect mem.e21 1 fill 1
.expect mem.e1 1 fill 2
.expect cycles 8
