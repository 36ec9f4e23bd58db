; tanh: odd, the smallest operand itself, the largest 1.
; Operands meet at stage 0 from cycle 3 on, one operation a cycle; results reach mem.e0 from cycle 13 on.
.machine superlanes = 1
.data4 mem.w0 0 i32 list 0x00000000 0x80000000 0x1e3ce508 0xba83126f 0x3c7fffff 0x3c800000 0xbe800000 0x3f000000 0x3f800000 0xc0000000 0x40a00000 0x411028f6 0xc1180000 0x41300000 0xff800000 0x7fc00000
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
tanh.f32 e0, e8
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
.expect4 mem.e0 1 i32 list 0x00000000 0x80000000 0x1e3ce508 0xba83126c 0x3c7ffaaa 0x3c7ffaab 0xbe7acbf5 0x3eec9a9f 0x3f42f7d6 0xbf76ca83 0x3f7ffa0d 0x3f7fffff 0xbf800000 0x3f800000 0xbf800000 0x7fc00000 ; tanh.f32
.expect cycles 15
