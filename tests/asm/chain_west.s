; Westward the same chain meets columns 3, 2, 1: results go out and operands come in on the west side.
; From mem.e0 (position 27) in 1, at stage 8 (26) in 2; out of column 1 at stage 3 in 10, at mem.w0 in 14.
.machine superlanes = 1
.data4 mem.e0 0 f32 iota 0 0.5
.queue mem.e0
read 0, w0
sync
.queue mem.e1
read 0, w1
sync
.queue mem.e2
read 0, w2
sync
.queue mem.e3
read 0, w3
sync
.queue vxm.3
nop 2
addi.f32 w0, w4, 1.0
sync
.queue vxm.2
nop 5
muli.f32 w4, w8, 2.0
sync
.queue vxm.1
nop 8
cvt.f32.i32 w8, w12
sync
.queue mem.w0
nop 14
write 0, w12
sync
.queue mem.w1
nop 14
write 0, w13
sync
.queue mem.w2
nop 14
write 0, w14
sync
.queue mem.w3
nop 14
write 0, w15
sync
.expect4 mem.w0 0 i32 iota 2 1
.expect cycles 16
