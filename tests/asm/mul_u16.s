; product of unsigned 16-bit numbers.
; Operands meet at stage 0 from cycle 3 on, one operation a cycle; results reach mem.e0 from cycle 13 on.
.machine superlanes = 1
.data2 mem.w0 0 i16 list 0x0000 0x0001 0xffff 0x7fff 0x8000 0x7fff 0x8000 0x00ff 0xff01 0x00b5 0x3039 0xcfc7 0x0100 0x0080 0x5555 0x8000
.data2 mem.w4 0 i16 list 0x0000 0x0002 0x0001 0x0001 0xffff 0xffff 0x0001 0x00ff 0x0100 0x00b6 0xa460 0xa460 0x0021 0x001f 0x0f0f 0x8000
.queue mem.w0
nop 1
read 0, e0
sync
.queue mem.w1
nop 1
read 0, e1
sync
.queue mem.w4
read 0, e4
sync
.queue mem.w5
read 0, e5
sync
.queue vxm.0
nop 3
mul.u16 e0, e4, e8
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
.expect4 mem.e0 1 i32 list 0x00000000 0x00000002 0x0000ffff 0x00007fff 0x7fff8000 0x7ffe8001 0x00008000 0x0000fe01 0x00ff0100 0x000080ae 0x1ef69960 0x856966a0 0x00002100 0x00000f80 0x0504fafb 0x40000000 ; mul.u16
.expect cycles 15
