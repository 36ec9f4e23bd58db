; shli.b32: bits pushed out are lost.
; Operands meet at stage 0 in cycle 3, the result is at stage 1 in cycle 5 and at mem.e0 in cycle 13.
.machine superlanes = 1
.data4 mem.w0 0 i32 iota 500 1
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
.queue vxm.0
nop 3
shli.b32 e0, e8, 0x17
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
.expect4 mem.e0 1 i32 list 4194304000 4202692608 4211081216 4219469824 4227858432 4236247040 4244635648 4253024256 4261412864 4269801472 4278190080 4286578688 0 8388608 16777216 25165824
.expect cycles 15
