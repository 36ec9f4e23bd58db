; A value that passes may be overwritten: downstream the new one is there, upstream the old one was.
; mem.e0's value of 0 passes mem.e8 in 3, where mem.e8's own read of 2 lands on the same stream.
.machine superlanes = 1
.data mem.e0 0 fill 1
.data mem.e8 0 fill 2
.queue mem.e0
read 0, e0
sync
.queue mem.e8
nop 2
read 0, e0
sync
.queue mem.e4
nop 2
write 1, e0
sync
.queue mem.e9
nop 3
write 1, e0
sync
.queue mem.e12
nop 4
write 1, e0
sync
.expect mem.e4 1 fill 1
.expect mem.e9 1 fill 2
.expect mem.e12 1 fill 2
.expect cycles 6
