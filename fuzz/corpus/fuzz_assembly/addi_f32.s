; addi.f32: a plus a constant.
; Operands meet at stage 0 in cycle 3, the result is at stage 1 in cycle 5 and at mem.e0 in cycle 13.
.machine superlanes = 1
.data4 mem.w0 0 f32 iota -4 0.5
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
addi.f32 e0, e8, 1.5
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
.expect4 mem.e0 1 f32 iota -2.5 0.5
.expect cycles 15
