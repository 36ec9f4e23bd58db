; cvt.i32.u8: saturating to 0..255.
; Operands meet at stage 0 in cycle 3, the result is at stage 1 in cycle 5 and at mem.e0 in cycle 13.
.machine superlanes = 1
.data4 mem.w0 0 i32 list 0 -1 255 256 2147483647 -2147483648 128
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
cvt.i32.u8 e0, e8
sync
.queue mem.e0
nop 13
write 1, e8
sync
.expect mem.e0 1 bytes 0 0 255 255 255 0 128
.expect cycles 15
