; iw with five cycles to install: three sets of weights, 1, 2 and 3, under way at once. Installs of 12, 14
; and 16 are through in 17, 19 and 21; activations in 17..22 meet 1 1 2 2 3 3.
.machine superlanes = 1
.machine mxm_install_cycles = 5
.data mem.e28 0 fill 1
.data mem.e28 1 fill 2
.data mem.e28 2 fill 3
.data mem.e29 0 fill 1
.data mem.e29 1 fill 2
.data mem.e29 2 fill 3
.data mem.e30 0 fill 1
.data mem.e30 1 fill 2
.data mem.e30 2 fill 3
.data mem.e31 0 fill 1
.data mem.e31 1 fill 2
.data mem.e31 2 fill 3
.data mem.e32 0 fill 1
.data mem.e32 1 fill 2
.data mem.e32 2 fill 3
.data mem.e33 0 fill 1
.data mem.e33 1 fill 2
.data mem.e33 2 fill 3
.data mem.e34 0 fill 1
.data mem.e34 1 fill 2
.data mem.e34 2 fill 3
.data mem.e35 0 fill 1
.data mem.e35 1 fill 2
.data mem.e35 2 fill 3
.data mem.e36 0 fill 1
.data mem.e36 1 fill 2
.data mem.e36 2 fill 3
.data mem.e37 0 fill 1
.data mem.e37 1 fill 2
.data mem.e37 2 fill 3
.data mem.e38 0 fill 1
.data mem.e38 1 fill 2
.data mem.e38 2 fill 3
.data mem.e39 0 fill 1
.data mem.e39 1 fill 2
.data mem.e39 2 fill 3
.data mem.e40 0 fill 1
.data mem.e40 1 fill 2
.data mem.e40 2 fill 3
.data mem.e41 0 fill 1
.data mem.e41 1 fill 2
.data mem.e41 2 fill 3
.data mem.e42 0 fill 1
.data mem.e42 1 fill 2
.data mem.e42 2 fill 3
.data mem.e43 0 fill 1
.data mem.e43 1 fill 2
.data mem.e43 2 fill 3
.data mem.e24 0 fill 1
.queue mem.e28
read 0, e0
repeat 2, 2, 1
sync
.queue mem.e29
read 0, e1
repeat 2, 2, 1
sync
.queue mem.e30
read 0, e2
repeat 2, 2, 1
sync
.queue mem.e31
read 0, e3
repeat 2, 2, 1
sync
.queue mem.e32
nop 1
read 0, e4
repeat 2, 2, 1
sync
.queue mem.e33
nop 1
read 0, e5
repeat 2, 2, 1
sync
.queue mem.e34
nop 1
read 0, e6
repeat 2, 2, 1
sync
.queue mem.e35
nop 1
read 0, e7
repeat 2, 2, 1
sync
.queue mem.e36
nop 2
read 0, e8
repeat 2, 2, 1
sync
.queue mem.e37
nop 2
read 0, e9
repeat 2, 2, 1
sync
.queue mem.e38
nop 2
read 0, e10
repeat 2, 2, 1
sync
.queue mem.e39
nop 2
read 0, e11
repeat 2, 2, 1
sync
.queue mem.e40
nop 3
read 0, e12
repeat 2, 2, 1
sync
.queue mem.e41
nop 3
read 0, e13
repeat 2, 2, 1
sync
.queue mem.e42
nop 3
read 0, e14
repeat 2, 2, 1
sync
.queue mem.e43
nop 3
read 0, e15
repeat 2, 2, 1
sync
.queue mem.e24
nop 5
read 0, e16
repeat 5, 1, 0
sync
.queue mxm.e0.weights
nop 11
lw 0, e0
iw
lw 0, e0
iw
lw 0, e0
iw
sync
.queue mxm.e0.activations
nop 17
abc.u8 e16
repeat 5, 1, 0
sync
.queue mxm.e0.results
nop 49
acc.pass w0
repeat 5, 1, 0
sync
.queue mem.e4
nop 66
write 0, w0
repeat 5, 1, 1
sync
.queue mem.e5
nop 66
write 0, w1
repeat 5, 1, 1
sync
.queue mem.e6
nop 66
write 0, w2
repeat 5, 1, 1
sync
.queue mem.e7
nop 66
write 0, w3
repeat 5, 1, 1
sync
.expect4 mem.e4 0 i32 fill 16
.expect4 mem.e4 1 i32 fill 16
.expect4 mem.e4 2 i32 fill 32
.expect4 mem.e4 3 i32 fill 32
.expect4 mem.e4 4 i32 fill 48
.expect4 mem.e4 5 i32 fill 48
.expect cycles 73
