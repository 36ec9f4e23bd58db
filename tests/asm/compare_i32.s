; comparisons of 32 bits.
; Operands meet at stage 0 from cycle 3 on, one operation a cycle; results reach mem.e0 from cycle 13 on.
.machine superlanes = 1
.data4 mem.w0 0 i32 list 0x00000000 0x00000001 0xffffffff 0x7fffffff 0x80000000 0x7fffffff 0x80000000 0x00010000 0xffff0000 0x0000b505 0x075bcd15 0xf8a432eb 0x00000007 0xfffffff9 0x55555555 0x80000000
.data4 mem.w4 0 i32 list 0x00000000 0x00000002 0x00000001 0x00000001 0xffffffff 0xffffffff 0x00000001 0x00010000 0x0000ffff 0x0000b505 0xc521974f 0xc521974f 0x00000021 0x0000001f 0x0f0f0f0f 0x80000000
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
lt.i32 e0, e4, e8
lt.u32 e0, e4, e8
eq.b32 e0, e4, e8
sync
.queue mem.e0
nop 13
write 1, e8
repeat 2, 1, 1
sync
.expect mem.e0 1 bytes 0 1 1 0 1 0 1 0 1 0 0 0 1 1 0 0 ; lt.i32
.expect mem.e0 2 bytes 0 1 0 0 1 1 0 0 0 0 1 0 1 0 0 0 ; lt.u32
.expect mem.e0 3 bytes 1 0 0 0 0 0 0 1 0 1 0 0 0 0 0 1 ; eq.b32
.expect cycles 17
