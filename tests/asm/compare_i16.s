; comparisons of 16 bits.
; Operands meet at stage 0 from cycle 3 on, one operation a cycle; results reach mem.e0 from cycle 13 on.
.machine superlanes = 1
.data2 mem.w0 0 i16 list 0x0000 0x0001 0xffff 0x7fff 0x8000 0x7fff 0x8000 0x00ff 0xff01 0x00b5 0x3039 0xcfc7 0x0100 0x0080 0x5555 0x8000
.data2 mem.w4 0 i16 list 0x0000 0x0002 0x0001 0x0001 0xffff 0xffff 0x0001 0x00ff 0x0100 0x00b6 0xa460 0xa460 0x0021 0x001f 0x0f0f 0x8000
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
.queue mem.w4
read 0, e4
repeat 2, 1, 0
sync
.queue mem.w5
read 0, e5
repeat 2, 1, 0
sync
.queue vxm.0
nop 3
eq.b16 e0, e4, e8
lt.i16 e0, e4, e8
lt.u16 e0, e4, e8
sync
.queue mem.e0
nop 13
write 1, e8
repeat 2, 1, 1
sync
.expect mem.e0 1 bytes 1 0 0 0 0 0 0 1 0 0 0 0 0 0 0 1 ; eq.b16
.expect mem.e0 2 bytes 0 1 1 0 1 0 1 0 1 1 0 0 0 0 0 0 ; lt.i16
.expect mem.e0 3 bytes 0 1 0 0 1 1 0 0 0 1 1 0 0 0 0 0 ; lt.u16
.expect cycles 17
