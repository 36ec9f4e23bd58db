; signed and unsigned 16 bits to 32.
; Operands meet at stage 0 from cycle 3 on, one operation a cycle; results reach mem.e0 from cycle 13 on.
.machine superlanes = 1
.data2 mem.w0 0 i16 list 0x0000 0x0001 0xffff 0x7fff 0x8000 0x7fff 0x8000 0x00ff 0xff01 0x00b5 0x3039 0xcfc7 0x0100 0x0080 0x5555 0x8000
.queue mem.w0
nop 1
read 0, e0
repeat 3, 1, 0
sync
.queue mem.w1
nop 1
read 0, e1
repeat 3, 1, 0
sync
.queue vxm.0
nop 3
cvt.i16.i32 e0, e8
cvt.u16.i32 e0, e8
cvt.i16.f32 e0, e8
cvt.u16.f32 e0, e8
sync
.queue mem.e0
nop 13
write 1, e8
repeat 3, 1, 1
sync
.queue mem.e1
nop 13
write 1, e9
repeat 3, 1, 1
sync
.queue mem.e2
nop 13
write 1, e10
repeat 3, 1, 1
sync
.queue mem.e3
nop 13
write 1, e11
repeat 3, 1, 1
sync
.expect4 mem.e0 1 i32 list 0x00000000 0x00000001 0xffffffff 0x00007fff 0xffff8000 0x00007fff 0xffff8000 0x000000ff 0xffffff01 0x000000b5 0x00003039 0xffffcfc7 0x00000100 0x00000080 0x00005555 0xffff8000 ; cvt.i16.i32
.expect4 mem.e0 2 i32 list 0 1 65535 32767 32768 32767 32768 255 65281 181 12345 53191 256 128 21845 32768 ; cvt.u16.i32
.expect4 mem.e0 3 i32 list 0x00000000 0x3f800000 0xbf800000 0x46fffe00 0xc7000000 0x46fffe00 0xc7000000 0x437f0000 0xc37f0000 0x43350000 0x4640e400 0xc640e400 0x43800000 0x43000000 0x46aaaa00 0xc7000000 ; cvt.i16.f32
.expect4 mem.e0 4 i32 list 0x00000000 0x3f800000 0x477fff00 0x46fffe00 0x47000000 0x46fffe00 0x47000000 0x437f0000 0x477f0100 0x43350000 0x4640e400 0x474fc700 0x43800000 0x43000000 0x46aaaa00 0x47000000 ; cvt.u16.f32
.expect cycles 18
