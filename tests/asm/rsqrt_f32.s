; rsqrt.f32 on a large ALU: the reciprocal of the rounded root, rounded.
; Operands meet at stage 0 in cycle 3, the result is at stage 1 in cycle 5 and at mem.e0 in cycle 13.
.machine superlanes = 1
.data4 mem.w0 0 f32 list 4 0.25 2 3 0 1 1 1 1 1 1 1 1 1 1 1
.queue mem.w0
nop 1
read 0, e0
sync
.queue mem.w1
nop 1
read 0, e1
sync
.queue mem.w2
nop 1
read 0, e2
sync
.queue mem.w3
nop 1
read 0, e3
sync
.queue vxm.0
nop 3
rsqrt.f32 e0, e8
sync
.queue mem.e0
nop 13
write 1, e8
sync
.queue mem.e1
nop 13
write 1, e9
sync
.queue mem.e2
nop 13
write 1, e10
sync
.queue mem.e3
nop 13
write 1, e11
sync
.expect4 mem.e0 1 f32 list 0.5 2 0x3f3504f3 0x3f13cd3a 0x7f800000 1 1 1 1 1 1 1 1 1 1 1
.expect cycles 15
