; All 409,600 weights from memory to installed in under 40 cycles (20 of them transfer): the first read
; issues in 0, row groups arrive in 15..34, iw in 35, and the activations of cycle 36 meet all four planes.
; All weights are 1 in the west and 2 in the east, activations are 1: sums 320 and 640.
.data mem.w12 0 fill 1
.data mem.w13 0 fill 1
.data mem.w14 0 fill 1
.data mem.w15 0 fill 1
.data mem.w16 0 fill 1
.data mem.w17 0 fill 1
.data mem.w18 0 fill 1
.data mem.w19 0 fill 1
.data mem.w20 0 fill 1
.data mem.w21 0 fill 1
.data mem.w22 0 fill 1
.data mem.w23 0 fill 1
.data mem.w24 0 fill 1
.data mem.w25 0 fill 1
.data mem.w26 0 fill 1
.data mem.w27 0 fill 1
.data mem.w28 0 fill 1
.data mem.w29 0 fill 1
.data mem.w30 0 fill 1
.data mem.w31 0 fill 1
.data mem.w32 0 fill 1
.data mem.w33 0 fill 1
.data mem.w34 0 fill 1
.data mem.w35 0 fill 1
.data mem.w36 0 fill 1
.data mem.w37 0 fill 1
.data mem.w38 0 fill 1
.data mem.w39 0 fill 1
.data mem.w40 0 fill 1
.data mem.w41 0 fill 1
.data mem.w42 0 fill 1
.data mem.w43 0 fill 1
.data mem.w8 0 fill 1
.data mem.e12 0 fill 2
.data mem.e13 0 fill 2
.data mem.e14 0 fill 2
.data mem.e15 0 fill 2
.data mem.e16 0 fill 2
.data mem.e17 0 fill 2
.data mem.e18 0 fill 2
.data mem.e19 0 fill 2
.data mem.e20 0 fill 2
.data mem.e21 0 fill 2
.data mem.e22 0 fill 2
.data mem.e23 0 fill 2
.data mem.e24 0 fill 2
.data mem.e25 0 fill 2
.data mem.e26 0 fill 2
.data mem.e27 0 fill 2
.data mem.e28 0 fill 2
.data mem.e29 0 fill 2
.data mem.e30 0 fill 2
.data mem.e31 0 fill 2
.data mem.e32 0 fill 2
.data mem.e33 0 fill 2
.data mem.e34 0 fill 2
.data mem.e35 0 fill 2
.data mem.e36 0 fill 2
.data mem.e37 0 fill 2
.data mem.e38 0 fill 2
.data mem.e39 0 fill 2
.data mem.e40 0 fill 2
.data mem.e41 0 fill 2
.data mem.e42 0 fill 2
.data mem.e43 0 fill 2
.data mem.e8 0 fill 1
.queue mem.w28
nop 4
read 0, w0
repeat 19, 1, 0
sync
.queue mem.w29
nop 4
read 0, w1
repeat 19, 1, 0
sync
.queue mem.w30
nop 4
read 0, w2
repeat 19, 1, 0
sync
.queue mem.w31
nop 4
read 0, w3
repeat 19, 1, 0
sync
.queue mem.w32
nop 5
read 0, w4
repeat 19, 1, 0
sync
.queue mem.w33
nop 5
read 0, w5
repeat 19, 1, 0
sync
.queue mem.w34
nop 5
read 0, w6
repeat 19, 1, 0
sync
.queue mem.w35
nop 5
read 0, w7
repeat 19, 1, 0
sync
.queue mem.w36
nop 6
read 0, w8
repeat 19, 1, 0
sync
.queue mem.w37
nop 6
read 0, w9
repeat 19, 1, 0
sync
.queue mem.w38
nop 6
read 0, w10
repeat 19, 1, 0
sync
.queue mem.w39
nop 6
read 0, w11
repeat 19, 1, 0
sync
.queue mem.w40
nop 7
read 0, w12
repeat 19, 1, 0
sync
.queue mem.w41
nop 7
read 0, w13
repeat 19, 1, 0
sync
.queue mem.w42
nop 7
read 0, w14
repeat 19, 1, 0
sync
.queue mem.w43
nop 7
read 0, w15
repeat 19, 1, 0
sync
.queue mem.w12
read 0, w16
repeat 19, 1, 0
sync
.queue mem.w13
read 0, w17
repeat 19, 1, 0
sync
.queue mem.w14
read 0, w18
repeat 19, 1, 0
sync
.queue mem.w15
read 0, w19
repeat 19, 1, 0
sync
.queue mem.w16
nop 1
read 0, w20
repeat 19, 1, 0
sync
.queue mem.w17
nop 1
read 0, w21
repeat 19, 1, 0
sync
.queue mem.w18
nop 1
read 0, w22
repeat 19, 1, 0
sync
.queue mem.w19
nop 1
read 0, w23
repeat 19, 1, 0
sync
.queue mem.w20
nop 2
read 0, w24
repeat 19, 1, 0
sync
.queue mem.w21
nop 2
read 0, w25
repeat 19, 1, 0
sync
.queue mem.w22
nop 2
read 0, w26
repeat 19, 1, 0
sync
.queue mem.w23
nop 2
read 0, w27
repeat 19, 1, 0
sync
.queue mem.w24
nop 3
read 0, w28
repeat 19, 1, 0
sync
.queue mem.w25
nop 3
read 0, w29
repeat 19, 1, 0
sync
.queue mem.w26
nop 3
read 0, w30
repeat 19, 1, 0
sync
.queue mem.w27
nop 3
read 0, w31
repeat 19, 1, 0
sync
.queue mem.w8
nop 20
read 0, w0
sync
.queue mxm.w0.weights
nop 15
lw 0, w0
repeat 19, 1, 1
iw
sync
.queue mxm.w0.activations
nop 36
abc.u8 w0
sync
.queue mxm.w0.results
nop 68
acc.pass e0
sync
.queue mem.w0
nop 86
write 0, e0
sync
.queue mem.w1
nop 86
write 0, e1
sync
.queue mem.w2
nop 86
write 0, e2
sync
.queue mem.w3
nop 86
write 0, e3
sync
.expect4 mem.w0 0 i32 fill 320
.queue mxm.w1.weights
nop 15
lw 0, w16
repeat 19, 1, 1
iw
sync
.queue mxm.w1.activations
nop 36
abc.u8 w0
sync
.queue mxm.w1.results
nop 68
acc.pass e4
sync
.queue mem.w4
nop 85
write 0, e4
sync
.queue mem.w5
nop 85
write 0, e5
sync
.queue mem.w6
nop 85
write 0, e6
sync
.queue mem.w7
nop 85
write 0, e7
sync
.expect4 mem.w4 0 i32 fill 320
.queue mem.e28
nop 4
read 0, e0
repeat 19, 1, 0
sync
.queue mem.e29
nop 4
read 0, e1
repeat 19, 1, 0
sync
.queue mem.e30
nop 4
read 0, e2
repeat 19, 1, 0
sync
.queue mem.e31
nop 4
read 0, e3
repeat 19, 1, 0
sync
.queue mem.e32
nop 5
read 0, e4
repeat 19, 1, 0
sync
.queue mem.e33
nop 5
read 0, e5
repeat 19, 1, 0
sync
.queue mem.e34
nop 5
read 0, e6
repeat 19, 1, 0
sync
.queue mem.e35
nop 5
read 0, e7
repeat 19, 1, 0
sync
.queue mem.e36
nop 6
read 0, e8
repeat 19, 1, 0
sync
.queue mem.e37
nop 6
read 0, e9
repeat 19, 1, 0
sync
.queue mem.e38
nop 6
read 0, e10
repeat 19, 1, 0
sync
.queue mem.e39
nop 6
read 0, e11
repeat 19, 1, 0
sync
.queue mem.e40
nop 7
read 0, e12
repeat 19, 1, 0
sync
.queue mem.e41
nop 7
read 0, e13
repeat 19, 1, 0
sync
.queue mem.e42
nop 7
read 0, e14
repeat 19, 1, 0
sync
.queue mem.e43
nop 7
read 0, e15
repeat 19, 1, 0
sync
.queue mem.e12
read 0, e16
repeat 19, 1, 0
sync
.queue mem.e13
read 0, e17
repeat 19, 1, 0
sync
.queue mem.e14
read 0, e18
repeat 19, 1, 0
sync
.queue mem.e15
read 0, e19
repeat 19, 1, 0
sync
.queue mem.e16
nop 1
read 0, e20
repeat 19, 1, 0
sync
.queue mem.e17
nop 1
read 0, e21
repeat 19, 1, 0
sync
.queue mem.e18
nop 1
read 0, e22
repeat 19, 1, 0
sync
.queue mem.e19
nop 1
read 0, e23
repeat 19, 1, 0
sync
.queue mem.e20
nop 2
read 0, e24
repeat 19, 1, 0
sync
.queue mem.e21
nop 2
read 0, e25
repeat 19, 1, 0
sync
.queue mem.e22
nop 2
read 0, e26
repeat 19, 1, 0
sync
.queue mem.e23
nop 2
read 0, e27
repeat 19, 1, 0
sync
.queue mem.e24
nop 3
read 0, e28
repeat 19, 1, 0
sync
.queue mem.e25
nop 3
read 0, e29
repeat 19, 1, 0
sync
.queue mem.e26
nop 3
read 0, e30
repeat 19, 1, 0
sync
.queue mem.e27
nop 3
read 0, e31
repeat 19, 1, 0
sync
.queue mem.e8
nop 20
read 0, e0
sync
.queue mxm.e0.weights
nop 15
lw 0, e0
repeat 19, 1, 1
iw
sync
.queue mxm.e0.activations
nop 36
abc.u8 e0
sync
.queue mxm.e0.results
nop 68
acc.pass w0
sync
.queue mem.e0
nop 86
write 0, w0
sync
.queue mem.e1
nop 86
write 0, w1
sync
.queue mem.e2
nop 86
write 0, w2
sync
.queue mem.e3
nop 86
write 0, w3
sync
.expect4 mem.e0 0 i32 fill 640
.queue mxm.e1.weights
nop 15
lw 0, e16
repeat 19, 1, 1
iw
sync
.queue mxm.e1.activations
nop 36
abc.u8 e0
sync
.queue mxm.e1.results
nop 68
acc.pass w4
sync
.queue mem.e4
nop 85
write 0, w4
sync
.queue mem.e5
nop 85
write 0, w5
sync
.queue mem.e6
nop 85
write 0, w6
sync
.queue mem.e7
nop 85
write 0, w7
sync
.expect4 mem.e4 0 i32 fill 640
.expect cycles 88
