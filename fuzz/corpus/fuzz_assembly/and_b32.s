; and.b32: bit by bit.
; Operands meet at stage 0 in cycle 3, the result is at stage 1 in cycle 5 and at mem.e0 in cycle 13.
.machine superlanes = 1
.data4 mem.w0 0 i32 list 4278255360 -1 12345
.data4 mem.w4 0 i32 list 252645135 305419896 0
.queue mem.w0
nop 1
read 0, e0
sync
.queue mem.w1
nop 1
read 0, e1
sync
.queue mem.w2
nop 1
read 0, e2
sync
.queue mem.w3
nop 1
read 0, e3
sync
.queue mem.w4
read 0, e4
sync
.queue mem.w5
read 0, e5
sync
.queue mem.w6
read 0, e6
sync
.queue mem.w7
read 0, e7
sync
.queue vxm.0
nop 3
and.b32 e0, e4, e8
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
.expect4 mem.e0 1 i32 list 251662080 305419896 0
.expect cycles 15
