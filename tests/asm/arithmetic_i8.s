; bytes: modular, saturating, comparing, selecting.
; Operands meet at stage 0 from cycle 3 on, one operation a cycle; results reach mem.e0 from cycle 13 on.
.machine superlanes = 1
.machine icu_buffer_blocks = 0
.data mem.w0 0 bytes 0 1 255 127 128 127 128 15 241 11 100 156 12 244 85 128
.data mem.w4 0 bytes 0 2 1 1 255 255 1 16 16 12 166 166 33 31 51 128
.queue mem.w0
nop 1
read 0, e0
repeat 18, 1, 0
sync
.queue mem.w4
read 0, e4
repeat 18, 1, 0
sync
.queue vxm.0
nop 3
selecti.b8 e0, e4, e8, 77
eq.b8 e0, e4, e8
and.b8 e0, e4, e8
or.b8 e0, e4, e8
xor.b8 e0, e4, e8
not.b8 e0, e8
add.i8 e0, e4, e8
sub.i8 e0, e4, e8
adds.i8 e0, e4, e8
subs.i8 e0, e4, e8
min.i8 e0, e4, e8
max.i8 e0, e4, e8
neg.i8 e0, e8
relu.i8 e0, e8
lt.i8 e0, e4, e8
adds.u8 e0, e4, e8
subs.u8 e0, e4, e8
min.u8 e0, e4, e8
lt.u8 e0, e4, e8
sync
.queue mem.e0
nop 13
write 1, e8
repeat 18, 1, 1
sync
.expect mem.e0 1 bytes 77 2 1 1 255 255 1 16 16 12 166 166 33 31 51 128 ; selecti.b8
.expect mem.e0 2 bytes 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 1 ; eq.b8
.expect mem.e0 3 bytes 0 0 1 1 128 127 0 0 16 8 36 132 0 20 17 128 ; and.b8
.expect mem.e0 4 bytes 0 3 255 127 255 255 129 31 241 15 230 190 45 255 119 128 ; or.b8
.expect mem.e0 5 bytes 0 3 254 126 127 128 129 31 225 7 194 58 45 235 102 0 ; xor.b8
.expect mem.e0 6 bytes 255 254 0 128 127 128 127 240 14 244 155 99 243 11 170 127 ; not.b8
.expect mem.e0 7 bytes 0 3 0 128 127 126 129 31 1 23 10 66 45 19 136 0 ; add.i8
.expect mem.e0 8 bytes 0 255 254 126 129 128 127 255 225 255 190 246 235 213 34 0 ; sub.i8
.expect mem.e0 9 bytes 0 3 0 127 128 126 129 31 1 23 10 128 45 19 127 128 ; adds.i8
.expect mem.e0 10 bytes 0 255 254 126 129 127 128 255 225 255 127 246 235 213 34 0 ; subs.i8
.expect mem.e0 11 bytes 0 1 255 1 128 255 128 15 241 11 166 156 12 244 51 128 ; min.i8
.expect mem.e0 12 bytes 0 2 1 127 255 127 1 16 16 12 100 166 33 31 85 128 ; max.i8
.expect mem.e0 13 bytes 0 255 1 129 128 129 128 241 15 245 156 100 244 12 171 128 ; neg.i8
.expect mem.e0 14 bytes 0 1 0 127 0 127 0 15 0 11 100 0 12 0 85 0 ; relu.i8
.expect mem.e0 15 bytes 0 1 1 0 1 0 1 1 1 1 0 1 1 1 0 0 ; lt.i8
.expect mem.e0 16 bytes 0 3 255 128 255 255 129 31 255 23 255 255 45 255 136 255 ; adds.u8
.expect mem.e0 17 bytes 0 0 254 126 0 0 127 0 225 0 0 0 0 213 34 0 ; subs.u8
.expect mem.e0 18 bytes 0 1 1 1 128 127 1 15 16 11 100 156 12 31 51 128 ; min.u8
.expect mem.e0 19 bytes 0 1 0 0 1 1 0 1 0 1 1 1 1 0 0 0 ; lt.u8
.expect cycles 33
