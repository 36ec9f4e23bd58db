; comparisons give a byte of 1 or 0; NaN equals nothing, -0 equals 0.
; Operands meet at stage 0 from cycle 3 on, one operation a cycle; results reach mem.e0 from cycle 13 on.
.machine superlanes = 1
.data4 mem.w0 0 i32 list 0x00000000 0x80000000 0x3f800000 0xbf800000 0x40200000 0xc0200000 0x000116c2 0x7f61b1e6 0xff61b1e6 0x3dcccccd 0x42c88000 0xc0f00000 0x41700000 0x41800000 0x7f800000 0x7fc00000
.data4 mem.w4 0 i32 list 0x80000000 0x00000000 0x40000000 0xbf800000 0x40200000 0x40100000 0x800116c2 0x7f61b1e6 0x7f61b1e6 0x3e4ccccd 0xc2c88000 0xc0f80000 0xff800000 0x7fc00000 0x7f800000 0x3f800000
.queue mem.w0
nop 1
read 0, e0
repeat 2, 1, 0
sync
.queue mem.w1
nop 1
read 0, e1
repeat 2, 1, 0
sync
.queue mem.w2
nop 1
read 0, e2
repeat 2, 1, 0
sync
.queue mem.w3
nop 1
read 0, e3
repeat 2, 1, 0
sync
.queue mem.w4
read 0, e4
repeat 2, 1, 0
sync
.queue mem.w5
read 0, e5
repeat 2, 1, 0
sync
.queue mem.w6
read 0, e6
repeat 2, 1, 0
sync
.queue mem.w7
read 0, e7
repeat 2, 1, 0
sync
.queue vxm.0
nop 3
eq.f32 e0, e4, e8
lt.f32 e0, e4, e8
le.f32 e0, e4, e8
sync
.queue mem.e0
nop 13
write 1, e8
repeat 2, 1, 1
sync
.expect mem.e0 1 bytes 1 1 0 1 1 0 0 1 0 0 0 0 0 0 1 0 ; eq.f32
.expect mem.e0 2 bytes 0 0 1 0 0 1 0 0 1 1 0 0 0 0 0 0 ; lt.f32
.expect mem.e0 3 bytes 1 1 1 1 1 1 0 1 1 1 0 0 0 0 1 0 ; le.f32
.expect cycles 17
