; abc.i8: lw in 11, iw in 12, so activations meet the weights from 13 on; sums 32 cycles later in 45, on
; their streams at the MXM in 46, at mem.e4 (16 hops) in 62. Bytes of the activations are signed.
.machine superlanes = 1
.data mem.e28 0 iota -60 3
.data mem.e29 0 iota -51 3
.data mem.e30 0 iota -42 3
.data mem.e31 0 iota -33 3
.data mem.e32 0 iota -24 3
.data mem.e33 0 iota -15 3
.data mem.e34 0 iota -6 3
.data mem.e35 0 iota 3 3
.data mem.e36 0 iota 12 3
.data mem.e37 0 iota 21 3
.data mem.e38 0 iota 30 3
.data mem.e39 0 iota 39 3
.data mem.e40 0 iota 48 3
.data mem.e41 0 iota 57 3
.data mem.e42 0 iota 66 3
.data mem.e43 0 iota 75 3
.data mem.e24 0 bytes 0 1 255 128 127 7 0 0 200 3 0 0 0 0 9 250
.queue mem.e28
read 0, e0
sync
.queue mem.e29
read 0, e1
sync
.queue mem.e30
read 0, e2
sync
.queue mem.e31
read 0, e3
sync
.queue mem.e32
nop 1
read 0, e4
sync
.queue mem.e33
nop 1
read 0, e5
sync
.queue mem.e34
nop 1
read 0, e6
sync
.queue mem.e35
nop 1
read 0, e7
sync
.queue mem.e36
nop 2
read 0, e8
sync
.queue mem.e37
nop 2
read 0, e9
sync
.queue mem.e38
nop 2
read 0, e10
sync
.queue mem.e39
nop 2
read 0, e11
sync
.queue mem.e40
nop 3
read 0, e12
sync
.queue mem.e41
nop 3
read 0, e13
sync
.queue mem.e42
nop 3
read 0, e14
sync
.queue mem.e43
nop 3
read 0, e15
sync
.queue mem.e24
nop 1
read 0, e16
sync
.queue mxm.e0.weights
nop 11
lw 0, e0
iw
sync
.queue mxm.e0.activations
nop 13
abc.i8 e16
sync
.queue mxm.e0.results
nop 45
acc.pass w0
sync
.queue mem.e4
nop 62
write 0, w0
sync
.queue mem.e5
nop 62
write 0, w1
sync
.queue mem.e6
nop 62
write 0, w2
sync
.queue mem.e7
nop 62
write 0, w3
sync
.expect4 mem.e4 0 i32 list 597 465 333 201 69 -63 -195 -327 -459 -591 -723 -855 -987 -1119 -1251 -1383
.expect cycles 64
