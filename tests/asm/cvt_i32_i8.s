; int32 to int8, saturating.
; Operands meet at stage 0 from cycle 3 on, one operation a cycle; results reach mem.e0 from cycle 13 on.
.machine superlanes = 1
.data4 mem.w0 0 i32 list 0x00000000 0x00000001 0xffffffff 0x0000007f 0x00000080 0xffffff80 0xffffff7f 0x000000ff 0x00000100 0x00007fff 0x00008000 0xffff8000 0xffff7fff 0x0000ffff 0x00010000 0x80000000
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
cvt.i32.i8 e0, e8
sync
.queue mem.e0
nop 13
write 1, e8
sync
.expect mem.e0 1 bytes 0 1 255 127 127 128 128 127 127 127 127 128 128 127 127 128 ; cvt.i32.i8
.expect cycles 15
