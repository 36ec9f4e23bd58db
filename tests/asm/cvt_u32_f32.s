; unsigned 32 bits to binary32, nearest even.
; Operands meet at stage 0 from cycle 3 on, one operation a cycle; results reach mem.e0 from cycle 13 on.
.machine superlanes = 1
.data4 mem.w0 0 i32 list 0x00000000 0x00000001 0xffffffff 0x7fffffff 0x80000000 0x7fffffff 0x80000000 0x00010000 0xffff0000 0x0000b505 0x075bcd15 0xf8a432eb 0x00000007 0xfffffff9 0x55555555 0x80000000
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
cvt.u32.f32 e0, e8
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
.expect4 mem.e0 1 i32 list 0x00000000 0x3f800000 0x4f800000 0x4f000000 0x4f000000 0x4f000000 0x4f000000 0x47800000 0x4f7fff00 0x47350500 0x4ceb79a3 0x4f78a433 0x40e00000 0x4f800000 0x4eaaaaab 0x4f000000 ; cvt.u32.f32
.expect cycles 15
