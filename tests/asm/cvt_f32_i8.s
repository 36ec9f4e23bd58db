; cvt.f32.i8: nearest even, saturating, NaN gives 0.
; Operands meet at stage 0 in cycle 3, the result is at stage 1 in cycle 5 and at mem.e0 in cycle 13.
.machine superlanes = 1
.data4 mem.w0 0 f32 list 0.5 1.5 2.5 -0.5 -1.5 0x7fc00000 0x4f32d05e 0xcf32d05e 127.5 -128.5 300 -300 32767.5 -32769 8388609 0x3effffff
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
cvt.f32.i8 e0, e8
sync
.queue mem.e0
nop 13
write 1, e8
sync
.expect mem.e0 1 bytes 0 2 2 0 -2 0 127 -128 127 -128 127 -128 127 -128 127 0
.expect cycles 15
