; maxi.u8: the larger of a and a constant.
; Operands meet at stage 0 in cycle 3, the result is at stage 1 in cycle 5 and at mem.e0 in cycle 13.
.machine superlanes = 1
.data mem.w0 0 bytes 0 14 15 16 255 0 0 0 0 0 0 0 0 0 0 0
.queue mem.w0
nop 1
read 0, e0
sync
.queue vxm.0
nop 3
maxi.u8 e0, e8, 0xf
sync
.queue mem.e0
nop 13
write 1, e8
sync
.expect mem.e0 1 bytes 15 15 15 16 255 15 15 15 15 15 15 15 15 15 15 15
.expect cycles 15
