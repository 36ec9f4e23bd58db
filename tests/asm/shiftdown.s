; shiftdown: towards lower lanes, zeros from above. Two cycles; a repetition shifts the next vector alike.
.machine superlanes = 2
.data mem.w40 0 iota 100 1
.data mem.w40 1 iota 50 2
.queue mem.w40
read 0, w0
repeat 1, 1, 1
sync
.queue sxm.w.shift1
nop 6
shiftdown w0, e0, 20
repeat 1, 1, 0
sync
.queue mem.w36
nop 14
write 0, e0
repeat 1, 1, 1
sync
.expect mem.w36 0 bytes 120 121 122 123 124 125 126 127 128 129 130 131
.expect mem.w36 1 bytes 90 92 94 96 98 100 102 104 106 108 110 112
.expect cycles 17
