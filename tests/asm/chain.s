; Three chained operations in one crossing, three cycles each: (a + 1) * 2 as an integer.
; At stages 0, 2 and 4 in cycles 2, 5 and 8; the last result at stage 5 in 10, at mem.e0 in 14.
.machine superlanes = 1
.data4 mem.w0 0 f32 iota 0 0.5
.queue mem.w0
read 0, e0
sync
.queue mem.w1
read 0, e1
sync
.queue mem.w2
read 0, e2
sync
.queue mem.w3
read 0, e3
sync
.queue vxm.0
nop 2
addi.f32 e0, e4, 1.0
sync
.queue vxm.1
nop 5
muli.f32 e4, e8, 2.0
sync
.queue vxm.2
nop 8
cvt.f32.i32 e8, e12
sync
.queue mem.e0
nop 14
write 0, e12
sync
.queue mem.e1
nop 14
write 0, e13
sync
.queue mem.e2
nop 14
write 0, e14
sync
.queue mem.e3
nop 14
write 0, e15
sync
.expect4 mem.e0 0 i32 iota 2 1
.expect cycles 16
