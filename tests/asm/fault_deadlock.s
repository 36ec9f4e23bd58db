; deadlock: mem.e0 waits in its first sync, and all who could notify have ended by cycle 5.
.machine superlanes = 1
.queue mem.e0
sync
read 0, e0
sync
.queue mem.e1
nop 5
sync
.expect fault deadlock cycle 5 queue mem.e0
