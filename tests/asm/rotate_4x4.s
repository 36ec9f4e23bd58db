; rotate.4x4: every cyclic turn of the 4 x 4 block in each superlane. Four cycles; at the SXM in 6, results
; there in 10; the slices that take them are at 30 and below: 16 streams, four a position, from 22 on.
.machine superlanes = 2
.data mem.e40 0 bytes 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35
.queue mem.e40
read 0, e0
sync
.queue sxm.e.rotate
nop 6
rotate.4x4 e0, w16
sync
.queue mem.e12
nop 22
write 0, w16
sync
.expect mem.e12 0 bytes 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35
.queue mem.e13
nop 22
write 0, w17
sync
.expect mem.e13 0 bytes 11 12 13 10 15 16 17 14 19 20 21 18 23 24 25 22 21 22 23 20 25 26 27 24 29 30 31 28 33 34 35 32
.queue mem.e14
nop 22
write 0, w18
sync
.expect mem.e14 0 bytes 12 13 10 11 16 17 14 15 20 21 18 19 24 25 22 23 22 23 20 21 26 27 24 25 30 31 28 29 34 35 32 33
.queue mem.e15
nop 22
write 0, w19
sync
.expect mem.e15 0 bytes 13 10 11 12 17 14 15 16 21 18 19 20 25 22 23 24 23 20 21 22 27 24 25 26 31 28 29 30 35 32 33 34
.queue mem.e16
nop 21
write 0, w20
sync
.expect mem.e16 0 bytes 14 15 16 17 18 19 20 21 22 23 24 25 10 11 12 13 24 25 26 27 28 29 30 31 32 33 34 35 20 21 22 23
.queue mem.e17
nop 21
write 0, w21
sync
.expect mem.e17 0 bytes 15 16 17 14 19 20 21 18 23 24 25 22 11 12 13 10 25 26 27 24 29 30 31 28 33 34 35 32 21 22 23 20
.queue mem.e18
nop 21
write 0, w22
sync
.expect mem.e18 0 bytes 16 17 14 15 20 21 18 19 24 25 22 23 12 13 10 11 26 27 24 25 30 31 28 29 34 35 32 33 22 23 20 21
.queue mem.e19
nop 21
write 0, w23
sync
.expect mem.e19 0 bytes 17 14 15 16 21 18 19 20 25 22 23 24 13 10 11 12 27 24 25 26 31 28 29 30 35 32 33 34 23 20 21 22
.queue mem.e20
nop 20
write 0, w24
sync
.expect mem.e20 0 bytes 18 19 20 21 22 23 24 25 10 11 12 13 14 15 16 17 28 29 30 31 32 33 34 35 20 21 22 23 24 25 26 27
.queue mem.e21
nop 20
write 0, w25
sync
.expect mem.e21 0 bytes 19 20 21 18 23 24 25 22 11 12 13 10 15 16 17 14 29 30 31 28 33 34 35 32 21 22 23 20 25 26 27 24
.queue mem.e22
nop 20
write 0, w26
sync
.expect mem.e22 0 bytes 20 21 18 19 24 25 22 23 12 13 10 11 16 17 14 15 30 31 28 29 34 35 32 33 22 23 20 21 26 27 24 25
.queue mem.e23
nop 20
write 0, w27
sync
.expect mem.e23 0 bytes 21 18 19 20 25 22 23 24 13 10 11 12 17 14 15 16 31 28 29 30 35 32 33 34 23 20 21 22 27 24 25 26
.queue mem.e24
nop 19
write 0, w28
sync
.expect mem.e24 0 bytes 22 23 24 25 10 11 12 13 14 15 16 17 18 19 20 21 32 33 34 35 20 21 22 23 24 25 26 27 28 29 30 31
.queue mem.e25
nop 19
write 0, w29
sync
.expect mem.e25 0 bytes 23 24 25 22 11 12 13 10 15 16 17 14 19 20 21 18 33 34 35 32 21 22 23 20 25 26 27 24 29 30 31 28
.queue mem.e26
nop 19
write 0, w30
sync
.expect mem.e26 0 bytes 24 25 22 23 12 13 10 11 16 17 14 15 20 21 18 19 34 35 32 33 22 23 20 21 26 27 24 25 30 31 28 29
.queue mem.e27
nop 19
write 0, w31
sync
.expect mem.e27 0 bytes 25 22 23 24 13 10 11 12 17 14 15 16 21 18 19 20 35 32 33 34 23 20 21 22 27 24 25 26 31 28 29 30
.expect cycles 24
