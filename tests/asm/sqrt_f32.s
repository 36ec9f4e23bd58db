; sqrt: correctly rounded; below zero is NaN.
; Operands meet at stage 0 from cycle 3 on, one operation a cycle; results reach mem.e0 from cycle 13 on.
.machine superlanes = 1
.data4 mem.w0 0 i32 list 0x00000000 0x80000000 0x3f800000 0xbf800000 0x40200000 0xc0200000 0x000116c2 0x7f61b1e6 0xff61b1e6 0x3dcccccd 0x42c88000 0xc0f00000 0x41700000 0x41800000 0x7f800000 0x7fc00000
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
sqrt.f32 e0, e8
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
.expect4 mem.e0 1 i32 list 0x00000000 0x80000000 0x3f800000 0x7fc00000 0x3fca62c2 0x7fc00000 0x1e3ce4e7 0x5f705ece 0x7fc00000 0x3ea1e89b 0x4120332b 0x7fc00000 0x4077def6 0x40800000 0x7f800000 0x7fc00000 ; sqrt.f32
.expect cycles 15
