; mul.i16: the exact product of signed 16-bit numbers.
; Operands meet at stage 0 in cycle 3, the result is at stage 1 in cycle 5 and at mem.e0 in cycle 13.
.machine superlanes = 1
.data2 mem.w0 0 i16 list 3 -3 -32768 -32768 32767 300
.data2 mem.w4 0 i16 list 7 -7 -32768 32767 -32768 -300
.queue mem.w0
nop 1
read 0, e0
sync
.queue mem.w1
nop 1
read 0, e1
sync
.queue mem.w4
read 0, e4
sync
.queue mem.w5
read 0, e5
sync
.queue vxm.0
nop 3
mul.i16 e0, e4, e8
sync
.queue mem.e0
nop 13
write 1, e8
sync
.queue mem.e1
nop 13
write 1, e9
sync
.queue mem.e2
nop 13
write 1, e10
sync
.queue mem.e3
nop 13
write 1, e11
sync
.expect4 mem.e0 1 i32 list 21 21 1073741824 -1073709056 -1073709056 -90000
.expect cycles 15
