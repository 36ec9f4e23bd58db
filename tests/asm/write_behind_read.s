; A word that is stored anew while its old value is on its way: the old value arrives.
.machine superlanes = 1
.data mem.e0 0 fill 1
.data mem.e1 0 fill 2
.queue mem.e1
read 0, e1
sync
.queue mem.e0
read 0, e0
write 0, e1
read 0, e0
sync
.queue mem.e8
nop 3
write 0, e0
nop 1
write 1, e0
sync
.expect mem.e8 0 fill 1
.expect mem.e8 1 fill 2
.expect cycles 7
