; ECC: one wrong bit in each of three superlanes, of the data (bit 9: lane 1), the check bits and the parity, is
; put right on the way to the stream, each time the word is read; memory keeps it, and a store ends it.
.machine superlanes = 4
.data mem.w0 3 iota 1 1
.upset mem.w0 3 0 9
.upset mem.w0 3 1 130
.upset mem.w0 3 3 136
.queue mem.w0
read 3, e0
repeat 1, 1, 0
nop 9
write 3, w0
read 3, e1
sync
.queue mem.e0
read 0, w0
nop 10
write 5, e0
write 6, e0
sync
.queue mem.e1
nop 23
write 7, e1
sync
.data mem.e0 0 fill 9
.expect mem.e0 5 iota 1 1
.expect mem.e0 6 iota 1 1
.expect mem.e1 7 fill 9
.expect corrected 6
