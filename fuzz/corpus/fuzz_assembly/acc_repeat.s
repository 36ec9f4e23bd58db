; A repetition steps the accumulator: two are set, then both are released with a second result added.
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
.data mem.e24 1 bytes 5 5 5 5 5 5 5 5 5 5 5 5 5 5 5 5
.data mem.e24 2 bytes 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15
.data mem.e24 3 bytes 255 255 255 255 255 255 255 255 255 255 255 255 255 255 255 255
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
repeat 3, 1, 1
sync
.queue mxm.e0.weights
nop 11
lw 0, e0
iw
sync
.queue mxm.e0.activations
nop 13
abc.i8 e16
repeat 3, 1, 0
sync
.queue mxm.e0.results
nop 45
acc.set 0
repeat 1, 1, 1
acc.out 0, w0
repeat 1, 1, 1
sync
.queue mem.e4
nop 64
write 0, w0
repeat 1, 1, 1
sync
.queue mem.e5
nop 64
write 0, w1
repeat 1, 1, 1
sync
.queue mem.e6
nop 64
write 0, w2
repeat 1, 1, 1
sync
.queue mem.e7
nop 64
write 0, w3
repeat 1, 1, 1
sync
.expect4 mem.e4 0 i32 list 4557 4785 5013 5241 5469 5697 5925 6153 6381 6609 6837 7065 7293 7521 7749 7977
.expect4 mem.e4 1 i32 list 480 672 864 1056 1248 1440 1632 1824 2016 2208 2400 2592 2784 2976 3168 3360
.expect cycles 67
