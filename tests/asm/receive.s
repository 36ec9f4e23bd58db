; receive: what has arrived waits in the link's buffer, oldest first, both ways at once.
.machine superlanes = 1
.machine c2c_latency_cycles = 20
.cable 0 1
.data mem.w40 0 iota 3 1
.data mem.w40 1 iota 7 2
.data mem.e40 0 iota 11 3
.queue mem.w40
read 0, w0
repeat 1, 30, 1
sync
.queue c2c.w0
nop 2
send w0, 0
repeat 1, 30, 0
sync
.queue mem.e40
read 0, e0
nop 99
write 9, w4
nop 1
write 10, w4
sync
.queue c2c.e0
nop 2
send e0, 1
nop 95
receive w4, 1
nop 1
receive w4, 1
sync
.queue c2c.w2
nop 22
receive e8, 0
sync
.queue mem.w41
nop 24
write 9, e8
sync
.expect mem.e40 9 iota 3 1
.expect mem.e40 10 iota 7 2
.expect mem.w41 9 iota 11 3
.expect cycles 104
