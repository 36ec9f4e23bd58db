; binary32: minimum, sign, magnitude, and constants; -0 is not less than 0, NaN not less than anything.
; Operands meet at stage 0 from cycle 3 on, one operation a cycle; results reach mem.e0 from cycle 13 on.
.machine superlanes = 1
.machine icu_buffer_blocks = 0
.data4 mem.w0 0 i32 list 0x00000000 0x80000000 0x3f800000 0xbf800000 0x40200000 0xc0200000 0x000116c2 0x7f61b1e6 0xff61b1e6 0x3dcccccd 0x42c88000 0xc0f00000 0x41700000 0x41800000 0x7f800000 0x7fc00000
.data4 mem.w4 0 i32 list 0x80000000 0x00000000 0x40000000 0xbf800000 0x40200000 0x40100000 0x800116c2 0x7f61b1e6 0x7f61b1e6 0x3e4ccccd 0xc2c88000 0xc0f80000 0xff800000 0x7fc00000 0x7f800000 0x3f800000
.queue mem.w0
nop 1
read 0, e0
repeat 6, 1, 0
sync
.queue mem.w1
nop 1
read 0, e1
repeat 6, 1, 0
sync
.queue mem.w2
nop 1
read 0, e2
repeat 6, 1, 0
sync
.queue mem.w3
nop 1
read 0, e3
repeat 6, 1, 0
sync
.queue mem.w4
read 0, e4
repeat 6, 1, 0
sync
.queue mem.w5
read 0, e5
repeat 6, 1, 0
sync
.queue mem.w6
read 0, e6
repeat 6, 1, 0
sync
.queue mem.w7
read 0, e7
repeat 6, 1, 0
sync
.queue vxm.0
nop 3
min.f32 e0, e4, e8
neg.f32 e0, e8
abs.f32 e0, e8
relu.f32 e0, e8
maxi.f32 e0, e8, 1.5
mini.f32 e0, e8, -1
rsubi.f32 e0, e8, 1
sync
.queue mem.e0
nop 13
write 1, e8
repeat 6, 1, 1
sync
.queue mem.e1
nop 13
write 1, e9
repeat 6, 1, 1
sync
.queue mem.e2
nop 13
write 1, e10
repeat 6, 1, 1
sync
.queue mem.e3
nop 13
write 1, e11
repeat 6, 1, 1
sync
.expect4 mem.e0 1 i32 list 0x80000000 0x00000000 0x3f800000 0xbf800000 0x40200000 0xc0200000 0x800116c2 0x7f61b1e6 0xff61b1e6 0x3dcccccd 0xc2c88000 0xc0f80000 0xff800000 0x7fc00000 0x7f800000 0x3f800000 ; min.f32
.expect4 mem.e0 2 i32 list 0x80000000 0x00000000 0xbf800000 0x3f800000 0xc0200000 0x40200000 0x800116c2 0xff61b1e6 0x7f61b1e6 0xbdcccccd 0xc2c88000 0x40f00000 0xc1700000 0xc1800000 0xff800000 0xffc00000 ; neg.f32
.expect4 mem.e0 3 i32 list 0x00000000 0x00000000 0x3f800000 0x3f800000 0x40200000 0x40200000 0x000116c2 0x7f61b1e6 0x7f61b1e6 0x3dcccccd 0x42c88000 0x40f00000 0x41700000 0x41800000 0x7f800000 0x7fc00000 ; abs.f32
.expect4 mem.e0 4 i32 list 0x00000000 0x00000000 0x3f800000 0x00000000 0x40200000 0x00000000 0x000116c2 0x7f61b1e6 0x00000000 0x3dcccccd 0x42c88000 0x00000000 0x41700000 0x41800000 0x7f800000 0x00000000 ; relu.f32
.expect4 mem.e0 5 i32 list 0x3fc00000 0x3fc00000 0x3fc00000 0x3fc00000 0x40200000 0x3fc00000 0x3fc00000 0x7f61b1e6 0x3fc00000 0x3fc00000 0x42c88000 0x3fc00000 0x41700000 0x41800000 0x7f800000 0x3fc00000 ; maxi.f32
.expect4 mem.e0 6 i32 list 0xbf800000 0xbf800000 0xbf800000 0xbf800000 0xbf800000 0xc0200000 0xbf800000 0xbf800000 0xff61b1e6 0xbf800000 0xbf800000 0xc0f00000 0xbf800000 0xbf800000 0xbf800000 0xbf800000 ; mini.f32
.expect4 mem.e0 7 i32 list 0x3f800000 0x3f800000 0x00000000 0x40000000 0xbfc00000 0x40600000 0x3f800000 0xff61b1e6 0x7f61b1e6 0x3f666666 0xc2c68000 0x41080000 0xc1600000 0xc1700000 0xff800000 0x7fc00000 ; rsubi.f32
.expect cycles 21
