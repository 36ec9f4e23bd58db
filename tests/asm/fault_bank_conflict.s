; bank-conflict: both words of the readwrite are in the first bank.
.machine superlanes = 1
.queue mem.e0
read 0, e0
sync
.queue mem.e4
nop 2
readwrite 0, e1, 4095, e0
sync
.expect fault bank-conflict cycle 2 queue mem.e4
