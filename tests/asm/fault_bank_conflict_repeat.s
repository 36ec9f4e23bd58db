; bank-conflict: the read walks from the first bank into the second, where the write is.
.machine superlanes = 1
.queue mem.e0
read 0, e0
repeat 3, 1, 0
sync
.queue mem.e4
nop 2
readwrite 4094, e1, 4096, e0
repeat 3, 1, 1
sync
.expect fault bank-conflict cycle 4 queue mem.e4
