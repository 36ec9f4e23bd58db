; binary32 to unsigned bytes: nearest even, saturating, NaN gives 0.
; Operands meet at stage 0 from cycle 3 on, one operation a cycle; results reach mem.e0 from cycle 13 on.
.machine superlanes = 1
.data4 mem.w0 0 i32 list 0x3f000000 0x3fc00000 0x40200000 0xbf000000 0xc0400000 0x437e8000 0x437f8000 0x43800000 0x477ffe80 0x477fff80 0x4788b800 0x4f7fffff 0x4f800000 0x7f800000 0xff800000 0x7fc00000
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
cvt.f32.u8 e0, e8
sync
.queue mem.e0
nop 13
write 1, e8
sync
.expect mem.e0 1 bytes 0 2 2 0 0 254 255 255 255 255 255 255 255 255 0 0 ; cvt.f32.u8
.expect cycles 15
