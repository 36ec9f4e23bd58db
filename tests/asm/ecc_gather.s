; ECC: a gather checks the superlanes it takes: 0 (a wrong bit) and 2, not 1, of which two bits are wrong; a
; scatter of new data there ends that.
.machine superlanes = 3
.data mem.w4 3 iota 1 1
.data mem.w4 4 fill 9
.upset mem.w4 3 0 127
.upset mem.w4 3 1 0
.upset mem.w4 3 1 1
.data mem.w0 0 bytes 3 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 4 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 3
.data mem.w0 1 bytes 255 255 0 0 0 0 0 0 0 0 0 0 0 0 0 0 3 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 255 255
.data mem.w1 0 fill 7
.queue mem.w0
read 0, w0
repeat 1, 1, 1
sync
.queue mem.w1
nop 1
read 0, w1
sync
.queue mem.w4
nop 2
gather 0, w2, w0
scatter 0, w1, w0
read 3, w3
sync
.queue mem.w8
nop 5
write 0, w2
write 1, w3
sync
.expect mem.w8 0 bytes 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48
.expect mem.w8 1 bytes 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48
.expect corrected 2
