; binary16 to binary32: exact.
; Operands meet at stage 0 from cycle 3 on, one operation a cycle; results reach mem.e0 from cycle 13 on.
.machine superlanes = 1
.data2 mem.w0 0 i16 list 0x0000 0x8000 0x3c00 0xbc00 0x3554 0x6800 0x7bff 0xfbff 0x0001 0x81f7 0x1419 0x5648 0xc780 0x7c00 0xfc00 0x7e01
.queue mem.w0
nop 1
read 0, e0
sync
.queue mem.w1
nop 1
read 0, e1
sync
.queue vxm.0
nop 3
cvt.f16.f32 e0, e8
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
.expect4 mem.e0 1 i32 list 0x00000000 0x80000000 0x3f800000 0xbf800000 0x3eaa8000 0x45000000 0x477fe000 0xc77fe000 0x33800000 0xb7fb8000 0x3a832000 0x42c90000 0xc0f00000 0x7f800000 0xff800000 0x7fc02000 ; cvt.f16.f32
.expect cycles 15
