; binary32 to binary16: nearest even.
; Operands meet at stage 0 from cycle 3 on, one operation a cycle; results reach mem.e0 from cycle 13 on.
.machine superlanes = 1
.data4 mem.w0 0 i32 list 0x00000000 0x80000000 0x3f800000 0xbf800000 0x477fe000 0x477fefe6 0x477ff000 0x501502f9 0x3380d959 0x32fffae5 0x33006b66 0x387fda40 0x3f801000 0x3f803000 0xff800000 0x7fc00000
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
cvt.f32.f16 e0, e8
sync
.queue mem.e0
nop 13
write 1, e8
sync
.queue mem.e1
nop 13
write 1, e9
sync
.expect2 mem.e0 1 i16 list 0x0000 0x8000 0x3c00 0xbc00 0x7bff 0x7bff 0x7c00 0x7c00 0x0001 0x0000 0x0001 0x03ff 0x3c00 0x3c02 0xfc00 0x7e00 ; cvt.f32.f16
.expect cycles 15
