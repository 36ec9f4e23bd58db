; machine-check: two bits of one code word are wrong, one of them a check bit.
.machine superlanes = 2
.data mem.w0 3 iota 1 1
.upset mem.w0 3 1 77
.upset mem.w0 3 1 133
.queue mem.w0
nop 3
read 2, e0
read 3, e0
sync
.expect fault machine-check cycle 4 queue mem.w0
