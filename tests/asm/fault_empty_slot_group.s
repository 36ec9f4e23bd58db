; empty-slot: three of the four planes of an operand.
.machine superlanes = 1
.queue mem.w0
read 0, e0
sync
.queue mem.w1
read 0, e1
sync
.queue mem.w2
read 0, e2
sync
.queue vxm.0
nop 2
addi.i32 e0, e8, 0x1
sync
.expect fault empty-slot cycle 2 queue vxm.0
