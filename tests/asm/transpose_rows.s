; transpose with some rows only: the other streams are not read and count as zero.
; Vectors arrive in 9, leave four cycles later, and are back at slices 12..27 in 25..22.
.machine superlanes = 1
.data mem.e28 0 iota 0 1
.data mem.e29 0 iota 16 1
.data mem.e30 0 iota 32 1
.data mem.e31 0 iota 48 1
.data mem.e32 0 iota 64 1
.data mem.e33 0 iota 80 1
.data mem.e34 0 iota 96 1
.data mem.e35 0 iota 112 1
.data mem.e36 0 iota 128 1
.data mem.e37 0 iota 144 1
.data mem.e38 0 iota 160 1
.data mem.e39 0 iota 176 1
.data mem.e40 0 iota 192 1
.data mem.e41 0 iota 208 1
.data mem.e42 0 iota 224 1
.data mem.e43 0 iota 240 1
.queue mem.e28
read 0, e0
sync
.queue mem.e30
read 0, e2
sync
.queue mem.e43
nop 3
read 0, e15
sync
.queue sxm.e.transpose1
nop 9
transpose 32773, e0, w16
sync
.queue mem.e12
nop 25
write 0, w16
sync
.expect mem.e12 0 bytes 0 0 32 0 0 0 0 0 0 0 0 0 0 0 0 240
.queue mem.e13
nop 25
write 0, w17
sync
.expect mem.e13 0 bytes 1 0 33 0 0 0 0 0 0 0 0 0 0 0 0 241
.queue mem.e14
nop 25
write 0, w18
sync
.expect mem.e14 0 bytes 2 0 34 0 0 0 0 0 0 0 0 0 0 0 0 242
.queue mem.e15
nop 25
write 0, w19
sync
.expect mem.e15 0 bytes 3 0 35 0 0 0 0 0 0 0 0 0 0 0 0 243
.queue mem.e16
nop 24
write 0, w20
sync
.expect mem.e16 0 bytes 4 0 36 0 0 0 0 0 0 0 0 0 0 0 0 244
.queue mem.e17
nop 24
write 0, w21
sync
.expect mem.e17 0 bytes 5 0 37 0 0 0 0 0 0 0 0 0 0 0 0 245
.queue mem.e18
nop 24
write 0, w22
sync
.expect mem.e18 0 bytes 6 0 38 0 0 0 0 0 0 0 0 0 0 0 0 246
.queue mem.e19
nop 24
write 0, w23
sync
.expect mem.e19 0 bytes 7 0 39 0 0 0 0 0 0 0 0 0 0 0 0 247
.queue mem.e20
nop 23
write 0, w24
sync
.expect mem.e20 0 bytes 8 0 40 0 0 0 0 0 0 0 0 0 0 0 0 248
.queue mem.e21
nop 23
write 0, w25
sync
.expect mem.e21 0 bytes 9 0 41 0 0 0 0 0 0 0 0 0 0 0 0 249
.queue mem.e22
nop 23
write 0, w26
sync
.expect mem.e22 0 bytes 10 0 42 0 0 0 0 0 0 0 0 0 0 0 0 250
.queue mem.e23
nop 23
write 0, w27
sync
.expect mem.e23 0 bytes 11 0 43 0 0 0 0 0 0 0 0 0 0 0 0 251
.queue mem.e24
nop 22
write 0, w28
sync
.expect mem.e24 0 bytes 12 0 44 0 0 0 0 0 0 0 0 0 0 0 0 252
.queue mem.e25
nop 22
write 0, w29
sync
.expect mem.e25 0 bytes 13 0 45 0 0 0 0 0 0 0 0 0 0 0 0 253
.queue mem.e26
nop 22
write 0, w30
sync
.expect mem.e26 0 bytes 14 0 46 0 0 0 0 0 0 0 0 0 0 0 0 254
.queue mem.e27
nop 22
write 0, w31
sync
.expect mem.e27 0 bytes 15 0 47 0 0 0 0 0 0 0 0 0 0 0 0 255
.expect cycles 27
