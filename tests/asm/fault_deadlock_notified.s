; deadlock: a notify that came too early is no help; known when it has arrived, in 35.
.machine superlanes = 1
.queue mem.e1
notify
sync
.queue mem.e0
nop 35
sync
read 0, e0
sync
.expect fault deadlock cycle 35 queue mem.e0
