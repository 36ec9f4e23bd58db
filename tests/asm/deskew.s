; deskew: the queue goes on when the hardware counter begins anew, here every 64 cycles: the send issues in 64.
.machine superlanes = 1
.machine c2c_deskew_cycles = 64
.cable 0 3
.data mem.w40 0 iota 3 1
.queue mem.w40
nop 62
read 0, w0
sync
.queue c2c.w0
nop 5
deskew
send w0, 0
sync
.queue c2c.e1
nop 281
receive w0, 3
sync
.queue mem.e40
nop 283
write 0, w0
sync
.expect mem.e40 0 iota 3 1
.expect cycles 285
