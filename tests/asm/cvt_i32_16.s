; int32 to 16 bits, saturating.
; Operands meet at stage 0 from cycle 3 on, one operation a cycle; results reach mem.e0 from cycle 13 on.
.machine superlanes = 1
.data4 mem.w0 0 i32 list 0x00000000 0x00000001 0xffffffff 0x0000007f 0x00000080 0xffffff80 0xffffff7f 0x000000ff 0x00000100 0x00007fff 0x00008000 0xffff8000 0xffff7fff 0x0000ffff 0x00010000 0x80000000
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
.queue mem.w2
nop 1
read 0, e2
repeat 1, 1, 0
sync
.queue mem.w3
nop 1
read 0, e3
repeat 1, 1, 0
sync
.queue vxm.0
nop 3
cvt.i32.i16 e0, e8
cvt.i32.u16 e0, e8
sync
.queue mem.e0
nop 13
write 1, e8
repeat 1, 1, 1
sync
.queue mem.e1
nop 13
write 1, e9
repeat 1, 1, 1
sync
.expect2 mem.e0 1 i16 list 0x0000 0x0001 0xffff 0x007f 0x0080 0xff80 0xff7f 0x00ff 0x0100 0x7fff 0x7fff 0x8000 0x8000 0x7fff 0x7fff 0x8000 ; cvt.i32.i16
.expect2 mem.e0 2 i16 list 0x0000 0x0001 0x0000 0x007f 0x0080 0x0000 0x0000 0x00ff 0x0100 0x7fff 0x8000 0x0000 0x0000 0xffff 0xffff 0x0000 ; cvt.i32.u16
.expect cycles 16
