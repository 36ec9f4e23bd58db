; send, receive: from the west by a cable to the east of the same chip. Read in 0, at the C2C unit (6) in 2; the
; link takes 217 cycles: receive in 219 at the earliest, on the stream in 220, at mem.e40 in 221. The second
; vector follows after 24 cycles, the earliest that the link allows.
.machine superlanes = 1
.cable 0 1
.data mem.w40 0 iota 3 1
.data mem.w40 1 iota 7 2
.queue mem.w40
read 0, w0
repeat 1, 24, 1
sync
.queue c2c.w0
nop 2
send w0, 0
repeat 1, 24, 0
sync
.queue c2c.e3
nop 219
receive w4, 1
repeat 1, 24, 0
sync
.queue mem.e40
nop 221
write 9, w4
repeat 1, 24, 1
sync
.expect mem.e40 9 iota 3 1
.expect mem.e40 10 iota 7 2
.expect cycles 247
