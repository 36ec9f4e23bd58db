; max.u8: bytes are unsigned.
; Operands meet at stage 0 in cycle 3, the result is at stage 1 in cycle 5 and at mem.e0 in cycle 13.
.machine superlanes = 1
.data mem.w0 0 bytes 0 1 128 255 7
.data mem.w4 0 bytes 0 2 127 1 8
.queue mem.w0
nop 1
read 0, e0
sync
.queue mem.w4
read 0, e4
sync
.queue vxm.0
nop 3
max.u8 e0, e4, e8
sync
.queue mem.e0
nop 13
write 1, e8
sync
.expect mem.e0 1 bytes 0 2 128 255 8
.expect cycles 15
