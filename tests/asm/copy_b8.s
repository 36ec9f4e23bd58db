; copy.b8: every byte unchanged.
; Operands meet at stage 0 in cycle 3, the result is at stage 1 in cycle 5 and at mem.e0 in cycle 13.
.machine superlanes = 1
.data mem.w0 0 iota 250 1
.queue mem.w0
nop 1
read 0, e0
sync
.queue vxm.0
nop 3
copy.b8 e0, e8
sync
.queue mem.e0
nop 13
write 1, e8
sync
.expect mem.e0 1 iota 250 1
.expect cycles 15
