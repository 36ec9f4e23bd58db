; 16-bit products of bytes.
; Operands meet at stage 0 from cycle 3 on, one operation a cycle; results reach mem.e0 from cycle 13 on.
.machine superlanes = 1
.data mem.w0 0 bytes 0 1 255 127 128 127 128 15 241 11 100 156 12 244 85 128
.data mem.w4 0 bytes 0 2 1 1 255 255 1 16 16 12 166 166 33 31 51 128
.queue mem.w0
nop 1
read 0, e0
repeat 1, 1, 0
sync
.queue mem.w4
read 0, e4
repeat 1, 1, 0
sync
.queue vxm.0
nop 3
mul.i8 e0, e4, e8
mul.u8 e0, e4, e8
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
.expect2 mem.e0 1 i16 list 0x0000 0x0002 0xffff 0x007f 0x0080 0xff81 0xff80 0x00f0 0xff10 0x0084 0xdcd8 0x2328 0x018c 0xfe8c 0x10ef 0x4000 ; mul.i8
.expect2 mem.e0 2 i16 list 0 2 255 127 32640 32385 128 240 3856 132 16600 25896 396 7564 4335 16384 ; mul.u8
.expect cycles 16
