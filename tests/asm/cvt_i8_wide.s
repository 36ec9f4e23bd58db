; signed and unsigned bytes to 32 bits.
; Operands meet at stage 0 from cycle 3 on, one operation a cycle; results reach mem.e0 from cycle 13 on.
.machine superlanes = 1
.data mem.w0 0 bytes 0 1 255 127 128 127 128 15 241 11 100 156 12 244 85 128
.queue mem.w0
nop 1
read 0, e0
repeat 2, 1, 0
sync
.queue vxm.0
nop 3
cvt.i8.i32 e0, e8
cvt.i8.f32 e0, e8
cvt.u8.f32 e0, e8
sync
.queue mem.e0
nop 13
write 1, e8
repeat 2, 1, 1
sync
.queue mem.e1
nop 13
write 1, e9
repeat 2, 1, 1
sync
.queue mem.e2
nop 13
write 1, e10
repeat 2, 1, 1
sync
.queue mem.e3
nop 13
write 1, e11
repeat 2, 1, 1
sync
.expect4 mem.e0 1 i32 list 0x00000000 0x00000001 0xffffffff 0x0000007f 0xffffff80 0x0000007f 0xffffff80 0x0000000f 0xfffffff1 0x0000000b 0x00000064 0xffffff9c 0x0000000c 0xfffffff4 0x00000055 0xffffff80 ; cvt.i8.i32
.expect4 mem.e0 2 i32 list 0x00000000 0x3f800000 0xbf800000 0x42fe0000 0xc3000000 0x42fe0000 0xc3000000 0x41700000 0xc1700000 0x41300000 0x42c80000 0xc2c80000 0x41400000 0xc1400000 0x42aa0000 0xc3000000 ; cvt.i8.f32
.expect4 mem.e0 3 i32 list 0x00000000 0x3f800000 0x437f0000 0x42fe0000 0x43000000 0x42fe0000 0x43000000 0x41700000 0x43710000 0x41300000 0x42c80000 0x431c0000 0x41400000 0x43740000 0x42aa0000 0x43000000 ; cvt.u8.f32
.expect cycles 17
