; accumulator: release of one that is empty.
.machine superlanes = 1
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
repeat 3, 1, 0
sync
.queue mxm.e0.weights
nop 11
lw 0, e0
iw
sync
.queue mxm.e0.activations
nop 13
abc.i8 e16
repeat 1, 1, 0
sync
.queue mxm.e0.results
nop 45
acc.out 3, w0
sync
.expect fault accumulator cycle 45 queue mxm.e0.results
