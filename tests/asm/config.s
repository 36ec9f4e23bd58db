; config: superlanes 1 and 2 are off from the next instruction of the queue on. The ALU gives zeros there (not
; 100), the store in mem.e0 leaves them as they were, a read of mem.w1 gives zeros there; config 3 ends it.
.machine superlanes = 3
.data mem.w0 0 iota 1 1
.data mem.w1 0 iota 1 1
.data mem.e0 5 fill 7
.queue mem.w0
nop 1
read 0, e0
repeat 3, 1, 0
sync
.queue mem.w1
config 1
read 0, e1
sync
.queue vxm.0
nop 2
config 1
maxi.u8 e0, e4, 100
config 3
maxi.u8 e0, e4, 10
sync
.queue mem.e0
config 2
nop 12
write 5, e4
nop 1
write 6, e4
config 3
sync
.queue mem.e1
nop 13
write 5, e4
nop 1
write 6, e4
sync
.queue mem.e2
nop 12
write 5, e1
sync
.expect mem.e0 5 bytes 100 100 100 100 100 100 100 100 100 100 100 100 100 100 100 100 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7
.expect mem.e1 5 bytes 100 100 100 100 100 100 100 100 100 100 100 100 100 100 100 100
.expect mem.e1 6 bytes 10 10 10 10 10 10 10 10 10 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48
.expect mem.e2 5 bytes 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16
.expect cycles 18
