; comparisons of binary16.
; Operands meet at stage 0 from cycle 3 on, one operation a cycle; results reach mem.e0 from cycle 13 on.
.machine superlanes = 1
.data2 mem.w0 0 i16 list 0x0000 0x8000 0x3c00 0xbc00 0x3554 0x6800 0x7bff 0xfbff 0x0001 0x81f7 0x1419 0x5648 0xc780 0x7c00 0xfc00 0x7e01
.data2 mem.w4 0 i16 list 0x8000 0x0000 0x4000 0xbc00 0x4200 0x3c00 0x4c00 0x5000 0x0001 0x3800 0x11bc 0xd648 0xc740 0x7c00 0x7c00 0x3c00
.queue mem.w0
nop 1
read 0, e0
repeat 1, 1, 0
sync
.queue mem.w1
nop 1
read 0, e1
repeat 1, 1, 0
sync
.queue mem.w4
read 0, e4
repeat 1, 1, 0
sync
.queue mem.w5
read 0, e5
repeat 1, 1, 0
sync
.queue vxm.0
nop 3
eq.f16 e0, e4, e8
lt.f16 e0, e4, e8
sync
.queue mem.e0
nop 13
write 1, e8
repeat 1, 1, 1
sync
.expect mem.e0 1 bytes 1 1 0 1 0 0 0 0 1 0 0 0 0 1 0 0 ; eq.f16
.expect mem.e0 2 bytes 0 0 1 0 1 0 0 1 0 1 0 0 1 0 1 0 ; lt.f16
.expect cycles 16
