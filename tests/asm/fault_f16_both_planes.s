; An fp16 product takes the multipliers of both planes: plane 1 can do nothing in its cycle.
.machine superlanes = 1
.data2 mem.e12 0 i16 list 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360
.data2 mem.e14 0 i16 list 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360
.data2 mem.e16 0 i16 list 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360
.data2 mem.e18 0 i16 list 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360
.data2 mem.e20 0 i16 list 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360
.data2 mem.e22 0 i16 list 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360
.data2 mem.e24 0 i16 list 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360
.data2 mem.e26 0 i16 list 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360
.data2 mem.e28 0 i16 list 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360
.data2 mem.e30 0 i16 list 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360
.data2 mem.e32 0 i16 list 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360
.data2 mem.e34 0 i16 list 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360
.data2 mem.e36 0 i16 list 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360
.data2 mem.e38 0 i16 list 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360
.data2 mem.e40 0 i16 list 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360
.data2 mem.e42 0 i16 list 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360
.data2 mem.e8 0 i16 list 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360 15360
.queue mem.e12
nop 5
read 0, e0
sync
.queue mem.e13
nop 5
read 0, e16
sync
.queue mem.e14
nop 5
read 0, e1
sync
.queue mem.e15
nop 5
read 0, e17
sync
.queue mem.e16
nop 6
read 0, e2
sync
.queue mem.e17
nop 6
read 0, e18
sync
.queue mem.e18
nop 6
read 0, e3
sync
.queue mem.e19
nop 6
read 0, e19
sync
.queue mem.e20
nop 7
read 0, e4
sync
.queue mem.e21
nop 7
read 0, e20
sync
.queue mem.e22
nop 7
read 0, e5
sync
.queue mem.e23
nop 7
read 0, e21
sync
.queue mem.e24
nop 8
read 0, e6
sync
.queue mem.e25
nop 8
read 0, e22
sync
.queue mem.e26
nop 8
read 0, e7
sync
.queue mem.e27
nop 8
read 0, e23
sync
.queue mem.e28
nop 9
read 0, e8
sync
.queue mem.e29
nop 9
read 0, e24
sync
.queue mem.e30
nop 9
read 0, e9
sync
.queue mem.e31
nop 9
read 0, e25
sync
.queue mem.e32
nop 10
read 0, e10
sync
.queue mem.e33
nop 10
read 0, e26
sync
.queue mem.e34
nop 10
read 0, e11
sync
.queue mem.e35
nop 10
read 0, e27
sync
.queue mem.e36
nop 11
read 0, e12
sync
.queue mem.e37
nop 11
read 0, e28
sync
.queue mem.e38
nop 11
read 0, e13
sync
.queue mem.e39
nop 11
read 0, e29
sync
.queue mem.e40
nop 12
read 0, e14
sync
.queue mem.e41
nop 12
read 0, e30
sync
.queue mem.e42
nop 12
read 0, e15
sync
.queue mem.e43
nop 12
read 0, e31
sync
.queue mxm.e0.weights
nop 20
lw 0, e0
iw
sync
.queue mxm.e1.weights
nop 20
lw 0, e16
iw
sync
.queue mem.e8
nop 6
read 0, e0
read 0, e0
sync
.queue mem.e9
nop 6
read 0, e1
read 0, e1
sync
.queue mxm.e0.activations
nop 22
abc.f16 0, e0
abc.f16 1, e0
sync
.queue mxm.e1.activations
nop 22
abc.i8 e0
sync
.queue mxm.e0.results
nop 54
acc.set 3
acc.set 3
sync
.expect fault two-producers cycle 22 queue mxm.e1.activations
