; rotate.3x3: every cyclic turn of the 3 x 3 block in each superlane. Four cycles; at the SXM in 6, results
; there in 10; the slices that take them are at 30 and below: 9 streams, four a position, from 22 on.
.machine superlanes = 2
.data mem.e40 0 bytes 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35
.queue mem.e40
read 0, e0
sync
.queue sxm.e.rotate
nop 6
rotate.3x3 e0, w16
sync
.queue mem.e12
nop 22
write 0, w16
sync
.expect mem.e12 0 bytes 10 11 12 13 14 15 16 17 18 0 0 0 0 0 0 0 20 21 22 23 24 25 26 27 28 0 0 0 0 0 0 0
.queue mem.e13
nop 22
write 0, w17
sync
.expect mem.e13 0 bytes 11 12 10 14 15 13 17 18 16 0 0 0 0 0 0 0 21 22 20 24 25 23 27 28 26 0 0 0 0 0 0 0
.queue mem.e14
nop 22
write 0, w18
sync
.expect mem.e14 0 bytes 12 10 11 15 13 14 18 16 17 0 0 0 0 0 0 0 22 20 21 25 23 24 28 26 27 0 0 0 0 0 0 0
.queue mem.e15
nop 22
write 0, w19
sync
.expect mem.e15 0 bytes 13 14 15 16 17 18 10 11 12 0 0 0 0 0 0 0 23 24 25 26 27 28 20 21 22 0 0 0 0 0 0 0
.queue mem.e16
nop 21
write 0, w20
sync
.expect mem.e16 0 bytes 14 15 13 17 18 16 11 12 10 0 0 0 0 0 0 0 24 25 23 27 28 26 21 22 20 0 0 0 0 0 0 0
.queue mem.e17
nop 21
write 0, w21
sync
.expect mem.e17 0 bytes 15 13 14 18 16 17 12 10 11 0 0 0 0 0 0 0 25 23 24 28 26 27 22 20 21 0 0 0 0 0 0 0
.queue mem.e18
nop 21
write 0, w22
sync
.expect mem.e18 0 bytes 16 17 18 10 11 12 13 14 15 0 0 0 0 0 0 0 26 27 28 20 21 22 23 24 25 0 0 0 0 0 0 0
.queue mem.e19
nop 21
write 0, w23
sync
.expect mem.e19 0 bytes 17 18 16 11 12 10 14 15 13 0 0 0 0 0 0 0 27 28 26 21 22 20 24 25 23 0 0 0 0 0 0 0
.queue mem.e20
nop 20
write 0, w24
sync
.expect mem.e20 0 bytes 18 16 17 12 10 11 15 13 14 0 0 0 0 0 0 0 28 26 27 22 20 21 25 23 24 0 0 0 0 0 0 0
.expect cycles 24
