; weight-buffer: a row group loaded twice without an install between.
.machine superlanes = 1
.queue mem.e28
read 0, e0
repeat 1, 1, 0
sync
.queue mem.e29
read 0, e1
repeat 1, 1, 0
sync
.queue mem.e30
read 0, e2
repeat 1, 1, 0
sync
.queue mem.e31
read 0, e3
repeat 1, 1, 0
sync
.queue mem.e32
nop 1
read 0, e4
repeat 1, 1, 0
sync
.queue mem.e33
nop 1
read 0, e5
repeat 1, 1, 0
sync
.queue mem.e34
nop 1
read 0, e6
repeat 1, 1, 0
sync
.queue mem.e35
nop 1
read 0, e7
repeat 1, 1, 0
sync
.queue mem.e36
nop 2
read 0, e8
repeat 1, 1, 0
sync
.queue mem.e37
nop 2
read 0, e9
repeat 1, 1, 0
sync
.queue mem.e38
nop 2
read 0, e10
repeat 1, 1, 0
sync
.queue mem.e39
nop 2
read 0, e11
repeat 1, 1, 0
sync
.queue mem.e40
nop 3
read 0, e12
repeat 1, 1, 0
sync
.queue mem.e41
nop 3
read 0, e13
repeat 1, 1, 0
sync
.queue mem.e42
nop 3
read 0, e14
repeat 1, 1, 0
sync
.queue mem.e43
nop 3
read 0, e15
repeat 1, 1, 0
sync
.queue mxm.e0.weights
nop 11
lw 0, e0
lw 0, e0
iw
sync
.expect fault weight-buffer cycle 12 queue mxm.e0.weights
