; A queue that parks in the very cycle in which a notify arrives waits for the next one:
; mem.w0 notifies in 0 and 10; mem.e0 parks in 35 and is released in 45, where it parks for good.
.machine superlanes = 1
.queue mem.w0
notify
nop 9
notify
sync
.queue mem.e0
nop 35
sync
sync
.expect cycles 46
